-- Cancels a job: at once while no call is in flight, else as soon as the call has ended.
-- a: generation, id
-- Returns {status = 'canceled' | 'canceling' | 'ended' | 'missing', ticket, ended = what it came to, where this has ended it}
-- include ../redis/guard.lua
-- include finish.lua

local job = P .. 'job:' .. a.id
local state = redis.call('HMGET', job, 'status', 'call', 'ticket')
if not state[1] then return cjson.encode({ status = 'missing' }) end
if state[1] ~= 'queued' and state[1] ~= 'processing' then return cjson.encode({ status = 'ended' }) end
if state[2] ~= '' then
  redis.call('HSET', job, 'cancel', redis_now())
  return cjson.encode({ status = 'canceling' })
end
local now = redis_now()
finish(a.id, 'canceled', now, { 'output', '[]' })
-- For the log: a moment later the job may run again, or be gone.
local made = redis.call('HMGET', job, 'attempts', 'uncertain', 'cost', 'created_at', 'started_at')
local ended = {
  at = string.format('%.0f', now), attempts = made[1], uncertain = made[2], cost = made[3], created_at = made[4],
  started_at = made[5] or nil,
}
return cjson.encode({ status = 'canceled', ticket = tonumber(state[3]), ended = ended })
