-- Ends the lease of a flush, and says when the batch is due next.
-- a: generation, id, version (the lease)
-- include ../redis/guard.lua
-- include rows.lua

if redis.call('GET', P .. 'flushing:' .. a.id) ~= string.format('%.0f', a.version) then return cjson.encode({}) end
redis.call('DEL', P .. 'flushing:' .. a.id)
local now = redis_now()
local status = batch_field(a.id, 'status')
-- A batch that paused itself while this was going on: the store is to know it.
local undecided = status == 'paused' and batch_field(a.id, 'undecided')
if status == 'finishing' or status == 'canceling' and batch_number(a.id, 'processing') <= 0 then
  redis.call('ZADD', P .. 'dirty', now, a.id)
elseif status and (undecided or redis.call('SCARD', P .. 'dirty:' .. a.id) > 0) then
  redis.call('ZADD', P .. 'dirty', now + FLUSH_MS, a.id)
else
  redis.call('ZREM', P .. 'dirty', a.id)
end
return cjson.encode({})
