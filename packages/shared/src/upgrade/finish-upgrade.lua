-- The last step of an upgrade: from here on this Redis can be worked with. Only who holds the lock can take it.
-- a: token, begun (the mark of the upgrade that was under way), written_by
-- Returns {done}
-- include ../redis/guard.lua

if redis.call('GET', P .. 'rebuild:lock') ~= a.token or redis.call('GET', P .. 'generation') ~= a.begun then
  return cjson.encode({ done = false })
end
redis.call('SET', P .. 'written_by', a.written_by)
redis.call('SET', P .. 'generation', a.token)
redis.call('DEL', P .. 'rebuild:lock')
redis.call('HDEL', P .. 'holds', 'upgrade')
return cjson.encode({ done = true })
