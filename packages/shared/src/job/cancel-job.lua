-- Cancels a job: at once while no call is in flight, else as soon as the call has ended.
-- a: generation, id
-- Returns {status = 'canceled' | 'canceling' | 'ended' | 'missing', ticket}
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
finish(a.id, 'canceled', redis_now(), { 'output', '[]' })
return cjson.encode({ status = 'canceled', ticket = tonumber(state[3]) })
