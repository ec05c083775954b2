-- Takes the mark away from processes of the older version, once no call is in flight: from here on none of their scripts
-- does a thing. In one step with the look at the slots, so that no call can be granted in between. A lease that ran out
-- and was not reaped is that of a dead worker.
-- a: token, mark (the one that is to be upgraded), begun (takes its place), written_by
-- Returns {verdict = 'begun'} | {verdict = 'waits', calls} | {verdict = 'lost'}  the lock is another's, or the mark is
-- include ../redis/guard.lua

if redis.call('GET', P .. 'rebuild:lock') ~= a.token or redis.call('GET', P .. 'generation') ~= a.mark then
  return cjson.encode({ verdict = 'lost' })
end
local calls = redis.call('ZCOUNT', P .. 'slots', '(' .. string.format('%.0f', redis_now()), '+inf')
if calls > 0 then return cjson.encode({ verdict = 'waits', calls = calls }) end
redis.call('SET', P .. 'written_by', a.written_by)
redis.call('SET', P .. 'generation', a.begun)
return cjson.encode({ verdict = 'begun' })
