-- Forgets a job that has ended, before its retention is over.
-- a: generation, id
-- Returns {status = 'forgotten' | 'open' (it has not ended) | 'missing'}
-- include ../redis/guard.lua

local job = P .. 'job:' .. a.id
local state = redis.call('HMGET', job, 'status', 'account')
if not state[1] then return cjson.encode({ status = 'missing' }) end
if state[1] == 'queued' or state[1] == 'processing' then return cjson.encode({ status = 'open' }) end
redis.call('ZREM', P .. 'jobs:' .. state[2], a.id)
redis.call('ZREM', P .. 'jobs:' .. state[2] .. ':' .. state[1], a.id)
redis.call('ZREM', P .. 'ended', a.id)
redis.call('ZREM', P .. 'expiring', a.id)
redis.call('DEL', job)
return cjson.encode({ status = 'forgotten' })
