-- The store has been told of the books of a day. If they have changed since, it is to be told again.
-- a: generation, day, changes
-- include ../redis/guard.lua
-- include books.lua

local last = tonumber(redis.call('HGET', P .. 'unnoted-days', a.day) or nil)
if last == a.changes then
  redis.call('HDEL', P .. 'unnoted-days', a.day)
elseif not last then
  -- Another has told of later changes; this may have been written over that.
  unnoted(a.day)
end
return cjson.encode({})
