-- Ends a job outside a batch, once. Every way to a final state comes through here; a row's is end_row.
--   fields  flat list of further fields of the job's hash
-- include ../batch/rows.lua
-- include ../webhook/tell.lua
local function finish(id, status, now, fields)
  local job = P .. 'job:' .. id
  local was = redis.call('HMGET', job, 'status', 'account', 'model')
  redis.call('HSET', job, 'status', status, 'ended_at', now, 'call', '', unpack(fields))
  redis.call('HDEL', job, 'cancel', 'retry_at')
  local list = P .. 'jobs:' .. was[2] .. ':'
  redis.call('ZREM', list .. was[1], id)
  redis.call('ZADD', list .. status, 0, id)
  redis.call('ZREM', P .. 'waiting', id)
  redis.call('ZREM', P .. 'parked:' .. was[3], id)
  redis.call('ZREM', P .. 'parked:key:' .. was[2], id)
  unfeed(id)
  redis.call('ZREM', P .. 'expiring', id)
  redis.call('ZADD', P .. 'ended', now, id)
  tell_job(id, status, was[2], now)
end
