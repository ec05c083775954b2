-- Puts a decision into force; see BatchDecision in batch.ts. Needs rows.lua.
--   quiet  true: the batch is being opened, and whoever listens knows of its decisions
local function apply_decision(id, decision, now, quiet)
  local batch = P .. 'batch:' .. id
  local state = redis.call('HMGET', batch, 'status', 'runs', 'decision')
  local status = state[1]
  if not status or status == 'completed' or status == 'canceled' then return end
  if tonumber(state[3] or 0) >= decision.seq then return end
  redis.call('HSET', batch, 'decision', decision.seq, 'metadata', decision.metadata)
  redis.call('HDEL', batch, 'undecided')
  for _, name in ipairs({ 'name', 'budget', 'webhook', 'webhook_events' }) do
    if decision[name] ~= nil then redis.call('HSET', batch, name, decision[name]) else redis.call('HDEL', batch, name) end
  end
  -- What was gone stays so until another is named; see ../webhook/record-attempt.lua.
  local gone = redis.call('HGET', batch, 'webhook_gone')
  if gone then redis.call('HDEL', batch, gone == decision.webhook and 'webhook' or 'webhook_gone') end
  if status == 'canceling' then return end
  if decision.runs > tonumber(state[2] or 0) then
    local bits = P .. 'bits:' .. id
    if redis.call('EXISTS', bits .. ':failed') == 1 then
      redis.call('BITOP', 'OR', bits .. ':again', bits .. ':again', bits .. ':failed')
      redis.call('DEL', bits .. ':failed')
    end
    redis.call('HSET', batch, 'runs', decision.runs, 'failed', 0)
    redis.call('HDEL', batch, 'alike', 'alike_code', 'progress_step')
    if status == 'finishing' then
      status = 'running'
      redis.call('HSET', batch, 'status', status)
    end
  end
  if decision.status == 'canceled' then
    redis.call('HSET', batch, 'status', 'canceling')
    redis.call('HDEL', batch, 'hold')
    delist(id)
    if batch_number(id, 'processing') <= 0 then flush_soon(id, now, true) end
  elseif status ~= 'finishing' then
    redis.call('HSET', batch, 'status', decision.status)
    if decision.hold then
      redis.call('HSET', batch, 'hold', cjson.encode(decision.hold))
      delist(id)
      if status == 'running' and not quiet then
        tell_batch(id, 'batch.paused', string.format('%.0f', decision.hold.since), now, decision.hold.since)
      end
    else
      redis.call('HDEL', batch, 'hold')
      enlist(id)
    end
    -- A retry of a batch none of whose rows has failed.
    finish_if_ended(id, now)
  end
  show_batch(id, now)
end
