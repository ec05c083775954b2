-- A worker that finds no mark tells how many calls it still has in flight. Told again about once a second.
-- a: worker, calls
-- include ../redis/guard.lua

redis.call('HSET', P .. 'rebuild:workers', a.worker, string.format('%.0f %d', redis_now(), a.calls))
redis.call('PEXPIRE', P .. 'rebuild:workers', 60000)
return cjson.encode({})
