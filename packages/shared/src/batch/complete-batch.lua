-- The last step of a batch: all of it lies in the store. Its bits and lists go; what it came to stays for a while.
-- a: generation, id, version (the lease of the flush), ended_at (as the manifest has it), keep_ms
-- Returns {done = whether it has ended by this}
-- include ../redis/guard.lua
-- include rows.lua

local batch = P .. 'batch:' .. a.id
local state = redis.call('HMGET', batch, 'status', 'processing', 'total', 'succeeded', 'failed')
local ending = state[1] == 'finishing' or state[1] == 'canceling' and tonumber(state[2]) <= 0
local ours = redis.call('GET', P .. 'flushing:' .. a.id) == string.format('%.0f', a.version)
if not ending or not ours or redis.call('SCARD', P .. 'dirty:' .. a.id) > 0 then return cjson.encode({ done = false }) end
if state[1] == 'finishing' then
  redis.call('HSET', batch, 'status', 'completed')
else
  redis.call('HSET', batch, 'status', 'canceled', 'canceled', state[3] - state[4] - state[5])
end
local now = redis_now()
-- The last row may have ended long before all was in the store.
redis.call('HSET', batch, 'ended_at', string.format('%.0f', a.ended_at), 'told_at', now)
redis.call('ZREM', P .. 'dirty', a.id)
redis.call('SREM', P .. 'open', a.id)
forget_rows(a.id, now)
local bits = P .. 'bits:' .. a.id
redis.call('DEL', bits .. ':ok', bits .. ':failed', bits .. ':again', P .. 'ends:' .. a.id, P .. 'versions:' .. a.id,
  P .. 'dirty:' .. a.id, P .. 'flushing:' .. a.id)
redis.call('PEXPIRE', batch, a.keep_ms)
tell_batch(a.id, 'batch.' .. redis.call('HGET', batch, 'status'), batch_field(a.id, 'runs') or '0', now, a.ended_at)
if batch_field(a.id, 'status') == 'canceled' then tell_canceled_rows(a.id, a.ended_at) end
return cjson.encode({ done = true })
