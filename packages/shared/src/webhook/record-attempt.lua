-- Ends an attempt: the delivery has arrived, or waits for the next, or has failed.
-- a: generation, id, lease, url (where it was sent), attempt = {at, ms, status?, error?, answer?},
--    verdict = 'ok' | 'failed' | 'gone', wait_ms? (until the next attempt; left out after the last), failing_ms (so long an endpoint may fail)
-- Returns {status, late = true if the delivery was another's by then, disabled? = the reason}
-- include ../redis/guard.lua
-- include receivers.lua
-- include tell.lua

-- Attempts that the log keeps of one delivery.
local MOST_ATTEMPTS = 20

local key = P .. 'dlv:' .. a.id
local was = redis.call('HMGET', key, 'account', 'receiver', 'lease', 'status', 'attempts', 'batch_id', 'url')
if not was[1] then return cjson.encode({ status = 'gone', late = true }) end
local account, receiver = was[1], was[2]
local ours = was[3] and tonumber(was[3]) == a.lease
-- What has arrived has arrived, also when it took longer than the lease.
if not ours and (a.verdict ~= 'ok' or was[4] ~= 'pending') then return cjson.encode({ status = was[4], late = true }) end

local now = redis_now()
local hook = P .. 'hook:' .. receiver
local is_endpoint = string.sub(receiver, 1, 4) == 'whk_'
local attempts = cjson.decode(was[5])
attempts[#attempts + 1] = a.attempt
if #attempts > MOST_ATTEMPTS then table.remove(attempts, 1) end
redis.call('HSET', key, 'attempts', cjson.encode(attempts))
redis.call('HINCRBY', key, 'tries', 1)
land(a.id, receiver)
redis.call('ZREM', P .. 'dq:' .. receiver, a.id)
if not is_endpoint then redis.call('HSETNX', hook, 'account', account) end
if is_endpoint and redis.call('EXISTS', hook) == 0 then
  -- It was deleted meanwhile.
  set_status(a.id, account, a.verdict == 'ok' and 'succeeded' or 'failed')
  line_up(receiver, now)
  return cjson.encode({ status = redis.call('HGET', key, 'status') or 'gone' })
end
-- What was asked is gone, and the endpoint is elsewhere by now: it is asked there.
if a.verdict == 'gone' and is_endpoint and redis.call('HGET', hook, 'url') ~= a.url then a.verdict, a.wait_ms = 'failed', 0 end

local function disable(reason)
  if redis.call('HGET', hook, 'state') ~= 'enabled' then return nil end
  -- Until it is decided in the store, too; see keep-disabled.ts.
  redis.call('HSET', hook, 'state', 'disabled', 'reason', reason, 'disabled_at', now, 'undecided', 1)
  redis.call('SADD', P .. 'undecided-hooks', receiver)
  redis.call('HDEL', P .. 'hooks:' .. account, receiver)
  if redis.call('EXISTS', P .. 'hooks:' .. account) == 0 then redis.call('SREM', P .. 'hooked', account) end
  miss(receiver, now)
  live(account, 'endpoint.disabled', now, 'webhook', receiver)
  local to = addressees(account, 'endpoint.disabled')
  if #to > 0 then
    put_out({
      id = event_id(receiver, 'endpoint.disabled', string.format('%.0f', now)), type = 'endpoint.disabled', account = account,
      at = now, to = to, endpoint = { id = receiver, url = redis.call('HGET', hook, 'url'), reason = reason },
    })
  end
  return reason
end

local disabled
if a.verdict == 'ok' then
  redis.call('HDEL', hook, 'failing', 'failing_since')
  redis.call('HSET', hook, 'last_success_at', now)
  set_status(a.id, account, 'succeeded')
else
  redis.call('HSET', hook, 'failing', 1, 'last_failure_at', now)
  redis.call('HSETNX', hook, 'failing_since', now)
  if a.verdict == 'failed' and a.wait_ms then
    wait_until(a.id, receiver, now + a.wait_ms)
  else
    set_status(a.id, account, 'failed')
  end
  if a.verdict == 'gone' then
    disabled = is_endpoint and disable('gone') or nil
    -- A batch's own webhook that is gone is told of no more of its rows.
    local batch = not is_endpoint and was[6] and P .. 'batch:' .. was[6]
    if batch and redis.call('HGET', batch, 'webhook') == was[7] then
      redis.call('HDEL', batch, 'webhook')
      redis.call('HSET', batch, 'webhook_gone', was[7])
    end
  elseif is_endpoint and now - tonumber(redis.call('HGET', hook, 'failing_since')) >= a.failing_ms then
    disabled = disable('failing')
  end
end
line_up(receiver, now)
return cjson.encode({ status = redis.call('HGET', key, 'status') or 'gone', disabled = disabled })
