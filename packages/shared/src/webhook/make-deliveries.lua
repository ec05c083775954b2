-- Makes deliveries of an event, each once however often it is asked, and takes the event from the outbox.
-- a: generation, entry? (of the outbox), wait_ms? (before the first attempt), deliveries = [{id, event, type, account, receiver, url?, body, job_id?, batch_id?,
--    request?, traceparent?, at}]
-- Returns {made, full = deliveries that found no place: what was missed is noted; known = some were made before}
-- include ../redis/guard.lua
-- include receivers.lua

local now = redis_now()
local made, full, known = 0, 0, 0
for _, each in ipairs(a.deliveries or {}) do
  local id, receiver = each.id, each.receiver
  local hook = redis.call('HMGET', P .. 'hook:' .. receiver, 'state', 'account')
  local is_endpoint = string.sub(receiver, 1, 4) == 'whk_'
  if redis.call('EXISTS', P .. 'dlv:' .. id) == 1 then
    known = known + 1
  elseif is_endpoint and not hook[1] then
    -- It was deleted.
  elseif hook[1] == 'disabled' or redis.call('ZCARD', P .. 'dq:' .. receiver) >= MOST_WAITING then
    if not is_endpoint and not hook[2] then redis.call('HSET', P .. 'hook:' .. receiver, 'account', each.account) end
    miss(receiver, each.at)
    full = full + 1
  else
    owe(receiver, each.at)
    if not hook[2] then redis.call('HSET', P .. 'hook:' .. receiver, 'account', each.account) end
    local fields = { 'id', id, 'receiver', receiver, 'at', string.format('%.0f', each.at), 'created_at', now, 'tries', 0, 'attempts', '[]' }
    for _, name in ipairs({ 'event', 'type', 'account', 'url', 'body', 'job_id', 'batch_id', 'request', 'traceparent' }) do
      if each[name] then
        fields[#fields + 1] = name
        fields[#fields + 1] = each[name]
      end
    end
    redis.call('HSET', P .. 'dlv:' .. id, unpack(fields))
    redis.call('ZADD', P .. 'dlvs:' .. each.account, 0, id)
    redis.call('ZADD', P .. 'dlvs:to:' .. receiver, 0, id)
    redis.call('ZADD', P .. 'deliveries', now, id)
    set_status(id, each.account, 'pending')
    wait_until(id, receiver, now + (a.wait_ms or 0))
    line_up(receiver, now)
    made = made + 1
  end
end
if a.entry then
  redis.call('XACK', P .. 'outbox', 'relay', a.entry)
  redis.call('XDEL', P .. 'outbox', a.entry)
end
return cjson.encode({ made = made, full = full, known = known })
