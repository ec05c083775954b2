-- Makes a batch known.
-- a: generation, id, account, fields (flat list of the hash's fields), decision, opening? (token of the keys
--    opening:<token>:ok|failed|again, which become the batch's bits), versions? (flat list part, version),
--    only_unknown? (true: one that has ended stays as it is),
--    begun? (rows that have not ended and have made calls: {row, calls, limited, cost, started_at})
-- Returns {new}
-- include ../redis/guard.lua
-- include rows.lua
-- include apply-decision.lua

local batch = P .. 'batch:' .. a.id
redis.call('ZADD', P .. 'batches:' .. a.account, 0, a.id)
local was = redis.call('HGET', batch, 'status')
-- A batch that has ended is opened again to retry its failed rows.
if was and (was ~= 'completed' or a.only_unknown) then return cjson.encode({ new = false }) end
redis.call('SADD', P .. 'open', a.id)
redis.call('DEL', batch)
redis.call('HSET', batch, unpack(a.fields))
for _, name in ipairs({ 'ok', 'failed', 'again' }) do
  local bits = P .. 'bits:' .. a.id .. ':' .. name
  redis.call('DEL', bits)
  local given = a.opening and P .. 'opening:' .. a.opening .. ':' .. name
  if given and redis.call('EXISTS', given) == 1 then
    redis.call('RENAME', given, bits)
    redis.call('PERSIST', bits)
  end
end
for i = 1, a.versions and #a.versions or 0, 2 do
  redis.call('HSET', P .. 'versions:' .. a.id, a.versions[i], a.versions[i + 1])
end
-- Of an opening before, which was broken off.
for _, id in ipairs(redis.call('SMEMBERS', P .. 'kept:' .. a.id)) do redis.call('DEL', P .. 'job:' .. id) end
redis.call('DEL', P .. 'kept:' .. a.id)
for _, row in ipairs(a.begun or {}) do
  -- As give_back leaves a row: what it has cost stays with it.
  local id = 'job_' .. string.sub(a.id, 5) .. '_' .. string.format('%.0f', row.row)
  local job = P .. 'job:' .. id
  if redis.call('EXISTS', job) == 0 then
    local state = redis.call('HMGET', batch, 'model', 'created_at', 'runs')
    redis.call('HSET', job, 'id', id, 'account', a.account, 'batch', a.id, 'row', row.row, 'status', 'queued',
      'model', state[1], 'attempts', row.calls, 'tries', row.calls, 'uncertain', row.calls, 'uncertain_tries', row.limited,
      'cost', row.cost, 'call', '', 'ticket', 0, 'created_at', state[2], 'run', state[3], 'started_at', row.started_at)
    redis.call('SADD', P .. 'kept:' .. a.id, id)
  end
end
local now = redis_now()
apply_decision(a.id, a.decision, now, true)
finish_if_ended(a.id, now)
return cjson.encode({ new = true })
