-- Accepts a job: it is in its account's lists and waits for a ticket.
-- a: generation, id, account, fields (flat list of the hash's fields), expires_at?, most_waiting
-- Returns {status = 'created' | 'exists' | 'full'}
-- include ../redis/guard.lua
-- include backlog.lua
-- include ../webhook/tell.lua

local job = P .. 'job:' .. a.id
if redis.call('EXISTS', job) == 1 then return cjson.encode({ status = 'exists' }) end
if backlog() >= a.most_waiting then return cjson.encode({ status = 'full' }) end
redis.call('HSET', job, unpack(a.fields))
redis.call('ZADD', P .. 'jobs:' .. a.account, 0, a.id)
redis.call('ZADD', P .. 'jobs:' .. a.account .. ':queued', 0, a.id)
redis.call('ZADD', P .. 'waiting', 0, a.id)
if a.expires_at then redis.call('ZADD', P .. 'expiring', a.expires_at, a.id) end
live(a.account, 'job.queued', redis_now(), 'job', a.id)
return cjson.encode({ status = 'created' })
