-- The last step of a rebuild: from here on this Redis can be worked with. Only who holds the lock can take it.
-- a: token, written_by (the version of Renderyard), store (the id of the store that it was rebuilt from)
-- Returns {done}
-- include ../redis/guard.lua

if redis.call('GET', P .. 'rebuild:lock') ~= a.token or redis.call('EXISTS', P .. 'generation') == 1 then
  return cjson.encode({ done = false })
end
redis.call('SET', P .. 'written_by', a.written_by)
redis.call('SET', P .. 'store', a.store)
redis.call('SET', P .. 'generation', a.token)
redis.call('DEL', P .. 'rebuild:lock', P .. 'rebuild:opened', P .. 'rebuild:workers')
return cjson.encode({ done = true })
