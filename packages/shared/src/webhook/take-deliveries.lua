-- Takes deliveries that are due, in turns: one of each receiver, then another of each. Receivers that fail come last and
-- take no more than their share, so that no number of them keeps the others waiting.
-- a: generation, most, failing_most, lease_ms
-- Returns {deliveries = [{delivery's hash, lease, url, secrets?, failing?}] or nothing, next_at?}: when the next is due
--    that may be taken; where those that fail have their share, none of them is
-- include ../redis/guard.lua
-- include receivers.lua

-- Receivers looked at in one go.
local LOOKED_AT = 100

local now = redis_now()
-- Who had them is dead, or has given up; whether they arrived nobody knows, so they are sent again.
for _, id in ipairs(redis.call('ZRANGEBYSCORE', P .. 'leases', '-inf', now, 'LIMIT', 0, 100)) do
  local receiver = redis.call('HGET', P .. 'dlv:' .. id, 'receiver')
  redis.call('ZREM', P .. 'leases', id)
  if receiver then
    land(id, receiver)
    wait_until(id, receiver, now)
    line_up(receiver, now)
  end
end

-- Where a delivery goes; nil where nobody is to be sent it any more: its endpoint was deleted, or the own webhook of its
-- batch has answered that it is gone.
local function target(id, hook)
  local own = redis.call('HMGET', P .. 'dlv:' .. id, 'url', 'batch_id')
  if not own[1] then return hook[1] or nil end
  if own[2] and redis.call('HGET', P .. 'batch:' .. own[2], 'webhook_gone') == own[1] then return nil end
  return own[1]
end

local taken = {}
local function take(list, most, failing)
  local count = 0
  while count < most do
    local due = redis.call('ZRANGEBYSCORE', P .. list, '-inf', now, 'LIMIT', 0, math.min(LOOKED_AT, most - count))
    if #due == 0 then return end
    for _, receiver in ipairs(due) do
      local id = redis.call('ZRANGEBYSCORE', P .. 'dq:' .. receiver, '-inf', now, 'LIMIT', 0, 1)[1]
      local hook = redis.call('HMGET', P .. 'hook:' .. receiver, 'url', 'secrets')
      local url = id and target(id, hook)
      if url then
        local lease = redis.call('INCR', P .. 'delivery-leases')
        redis.call('ZREM', P .. 'dq:' .. receiver, id)
        redis.call('HDEL', P .. 'dlv:' .. id, 'next_at')
        redis.call('HSET', P .. 'dlv:' .. id, 'lease', lease)
        redis.call('ZADD', P .. 'leases', now + a.lease_ms, id)
        redis.call('SADD', P .. 'sending:' .. receiver, id)
        local delivery = hash(P .. 'dlv:' .. id)
        taken[#taken + 1] = {
          delivery = delivery, lease = lease, url = url, secrets = hook[2] or nil, failing = failing or nil,
        }
        count = count + 1
      elseif id then
        redis.call('ZREM', P .. 'dq:' .. receiver, id)
        set_status(id, redis.call('HGET', P .. 'dlv:' .. id, 'account'), 'failed')
        count = count + 1
      end
      -- Whoever was looked at goes to the end of the line.
      redis.call('ZREM', P .. list, receiver)
      line_up(receiver, now)
    end
  end
end
take('receivers', a.most, false)
local healthy = #taken
take('receivers:failing', math.min(a.failing_most, a.most - healthy), true)

local next_at
for _, list in ipairs(#taken - healthy < a.failing_most and { 'receivers', 'receivers:failing' } or { 'receivers' }) do
  local head = redis.call('ZRANGE', P .. list, 0, 0, 'WITHSCORES')
  if head[1] and (not next_at or tonumber(head[2]) < next_at) then next_at = tonumber(head[2]) end
end
return cjson.encode({ deliveries = #taken > 0 and taken or nil, next_at = next_at })
