-- Takes the lock under which a Redis without a mark is rebuilt. What a rebuild that was broken off has opened goes: it
-- was read from the store as it was then.
-- a: token (becomes the mark), ms (for how long)
-- Returns {verdict = 'ours', now} | {verdict = 'taken'} | {verdict = 'marked'}  nothing is to be rebuilt
-- include ../redis/guard.lua

if redis.call('EXISTS', P .. 'generation') == 1 then return cjson.encode({ verdict = 'marked' }) end
if not redis.call('SET', P .. 'rebuild:lock', a.token, 'NX', 'PX', a.ms) then return cjson.encode({ verdict = 'taken' }) end
for _, id in ipairs(redis.call('SMEMBERS', P .. 'rebuild:opened')) do redis.call('DEL', P .. 'batch:' .. id) end
redis.call('DEL', P .. 'rebuild:opened')
return cjson.encode({ verdict = 'ours', now = redis_now() })
