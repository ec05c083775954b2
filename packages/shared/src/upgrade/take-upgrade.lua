-- Takes the lock of a rebuild for an upgrade, though there is a mark; and holds all work.
-- a: token (becomes the mark), ms (for how long), mark (the one that is to be upgraded), detail? (of the hold; missing:
--    nothing is held)
-- Returns {verdict = 'ours', now} | {verdict = 'taken'} | {verdict = 'changed'}  there is another mark by now
-- include ../redis/guard.lua
-- include hold-upgrade.lua

if redis.call('GET', P .. 'generation') ~= a.mark then return cjson.encode({ verdict = 'changed' }) end
if not redis.call('SET', P .. 'rebuild:lock', a.token, 'NX', 'PX', a.ms) then return cjson.encode({ verdict = 'taken' }) end
if a.detail then hold_upgrade(a.detail, a.ms) end
return cjson.encode({ verdict = 'ours', now = redis_now() })
