-- Lets an ended job run again under its id; what it has cost and its counted attempts stay.
-- a: generation, id, most_waiting
-- Returns {status = 'queued' | 'succeeded' (its image is already there and paid for) | 'refused' | 'missing' | 'full'}
-- include ../redis/guard.lua
-- include backlog.lua
-- include ../webhook/tell.lua

local job = P .. 'job:' .. a.id
local state = redis.call('HMGET', job, 'status', 'account', 'output')
local status, account = state[1], state[2]
if not status then return cjson.encode({ status = 'missing' }) end
if status ~= 'failed' and status ~= 'canceled' and status ~= 'expired' then return cjson.encode({ status = 'refused' }) end
if backlog() >= a.most_waiting then return cjson.encode({ status = 'full' }) end
local list = P .. 'jobs:' .. account .. ':'
redis.call('ZREM', list .. status, a.id)
redis.call('HDEL', job, 'error')
if state[3] and state[3] ~= '[]' then
  -- It ends anew: who has missed what ended since then is told of it.
  local now = redis_now()
  redis.call('HSET', job, 'status', 'succeeded', 'ended_at', now)
  redis.call('ZADD', P .. 'ended', now, a.id)
  redis.call('ZADD', list .. 'succeeded', 0, a.id)
  tell_job(a.id, 'succeeded', account, now)
  return cjson.encode({ status = 'succeeded' })
end
redis.call('HSET', job, 'status', 'queued', 'tries', 0, 'uncertain_tries', 0, 'queued_at', redis_now())
redis.call('HDEL', job, 'ended_at', 'expires_at')
redis.call('ZREM', P .. 'ended', a.id)
redis.call('ZADD', list .. 'queued', 0, a.id)
redis.call('ZADD', P .. 'waiting', 0, a.id)
live(account, 'job.queued', redis_now(), 'job', a.id)
return cjson.encode({ status = 'queued' })
