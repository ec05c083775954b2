-- Changes of the state of credits, and of the hold `upstream`, that no log has told of yet; from now on one has.
-- a: generation. Returns {events = [[field, value, …], …] or nothing, upstream = 'held' | 'released' or nothing, detail}
-- include ../redis/guard.lua

local told = redis.call('HMGET', P .. 'credits', 'events_told', 'upstream_told')
local last = told[1] or '0'
local events = {}
for _, entry in ipairs(redis.call('XRANGE', P .. 'credit-events', '(' .. last, '+', 'COUNT', 100)) do
  last = entry[1]
  events[#events + 1] = entry[2]
end
redis.call('HSET', P .. 'credits', 'events_told', last)
-- It is set and released by whichever script meets its cause; here its changes are seen whoever has made them.
local hold = redis.call('HGET', P .. 'holds', 'upstream')
local upstream, detail
if hold and not told[2] then
  redis.call('HSET', P .. 'credits', 'upstream_told', 1)
  upstream, detail = 'held', cjson.decode(hold).detail
elseif told[2] and not hold then
  redis.call('HDEL', P .. 'credits', 'upstream_told')
  upstream = 'released'
end
return cjson.encode({ events = #events > 0 and events or nil, upstream = upstream, detail = detail })
