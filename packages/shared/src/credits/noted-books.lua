-- The store has been told of the books of a day. If they have changed since, it is to be told again.
-- a: generation, day, changes
-- include ../redis/guard.lua

if tonumber(redis.call('HGET', P .. 'unnoted-days', a.day) or 0) == a.changes then
  redis.call('HDEL', P .. 'unnoted-days', a.day)
end
return cjson.encode({})
