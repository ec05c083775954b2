-- Forgets a batch that has ended.
-- a: generation, id, account
-- include ../redis/guard.lua

local status = redis.call('HGET', P .. 'batch:' .. a.id, 'status')
if status and status ~= 'completed' and status ~= 'canceled' then return cjson.encode({ forgotten = false }) end
redis.call('DEL', P .. 'batch:' .. a.id)
redis.call('SREM', P .. 'open', a.id)
redis.call('ZREM', P .. 'batches:' .. a.account, a.id)
return cjson.encode({ forgotten = true })
