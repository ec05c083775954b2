-- Changes of the state of credits that no log has told of yet; from now on one has.
-- a: generation. Returns {events = [[field, value, …], …] or nothing}
-- include ../redis/guard.lua

local told = redis.call('HGET', P .. 'credits', 'events_told') or '0'
local events = {}
for _, entry in ipairs(redis.call('XRANGE', P .. 'credit-events', '(' .. told, '+', 'COUNT', 100)) do
  told = entry[1]
  events[#events + 1] = entry[2]
end
redis.call('HSET', P .. 'credits', 'events_told', told)
return cjson.encode({ events = #events > 0 and events or nil })
