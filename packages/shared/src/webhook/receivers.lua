-- Deliveries and who receives them. A receiver is an endpoint (whk_…) or the own webhooks of an account's jobs and
-- batches at one origin (url_…); what holds for one of them holds up no other.
--   dlv:<id>                 hash: one event for one receiver, its body and its attempts
--   dlvs:<account>, dlvs:<account>:<status>, dlvs:to:<receiver>   by id, which begins with the event's time
--   deliveries               all of them by when they were made, to be forgotten
--   dq:<receiver>            those that wait, by when they are due
--   sending:<receiver>       those on their way; leases: all of these, by when their worker counts as dead
--   receivers, receivers:failing   who has something due and may be sent it, by when that is or was served last
--   hook:<receiver>          hash: account, of an endpoint url, secrets (sealed), state, reason, disabled_at, undecided;
--                            failing (its last attempt failed), failing_since, last_success_at, last_failure_at,
--                            missed_since (while it was disabled, until that is read again),
--                            catch_up (what has ended since then is to be read again)
--   owed                     receivers for whom something waits or is on its way, since when: no event of these is older
--   missed                   receivers that have something to catch up on
--   catch-up:<receiver>      hash: from, until, cursor (how far it is), turn (how often it was taken up);
--                            catching-up:<receiver>: until its worker counts as dead
-- Needs guard.lua.

-- On their way to one receiver at a time; to one whose last attempt failed it is one, as a trial.
local AT_ONCE = 4
-- Deliveries that wait for one receiver, and that an account's log keeps of those that have ended, of each kind.
local MOST_WAITING, MOST_ENDED = 10000, 10000

local function at_once(failing) return failing and 1 or AT_ONCE end

-- Puts a receiver where take-deliveries.lua looks for it, behind those that were due earlier. Who stands there already
-- keeps its place, else one that hears of something new all the time would never be the first.
local function line_up(receiver, now)
  local state = redis.call('HMGET', P .. 'hook:' .. receiver, 'failing', 'state')
  local list, other = 'receivers', 'receivers:failing'
  if state[1] then list, other = other, list end
  redis.call('ZREM', P .. other, receiver)
  local head = redis.call('ZRANGE', P .. 'dq:' .. receiver, 0, 0, 'WITHSCORES')
  if not head[1] and redis.call('SCARD', P .. 'sending:' .. receiver) == 0 then
    redis.call('ZREM', P .. 'owed', receiver)
  end
  if not head[1] or state[2] == 'disabled' or redis.call('SCARD', P .. 'sending:' .. receiver) >= at_once(state[1]) then
    redis.call('ZREM', P .. list, receiver)
  else
    redis.call('ZADD', P .. list, 'LT', math.max(tonumber(head[2]), now), receiver)
  end
end

-- What waits for it tells of nothing that is older than this. Of what comes late, or is sent again, that may be long ago.
local function owe(receiver, at) redis.call('ZADD', P .. 'owed', 'LT', at, receiver) end

-- What has ended since a time is to be read again for a receiver; see services/worker/src/webhook/catch-up.ts.
local function catch_up(receiver, since)
  local known = tonumber(redis.call('HGET', P .. 'hook:' .. receiver, 'catch_up') or nil)
  if not known or since < known then
    redis.call('HSET', P .. 'hook:' .. receiver, 'catch_up', string.format('%.0f', since))
  end
  redis.call('SADD', P .. 'missed', receiver)
end

-- An event found no place. It is read again once there is some; of a disabled endpoint once somebody asks for it.
local function miss(receiver, at)
  local hook = P .. 'hook:' .. receiver
  local state = redis.call('HMGET', hook, 'state', 'missed_since')
  if state[1] ~= 'disabled' then return catch_up(receiver, at) end
  if not state[2] or at < tonumber(state[2]) then redis.call('HSET', hook, 'missed_since', string.format('%.0f', at)) end
end

-- Of jobs' and batches' own webhooks nothing is kept beside their deliveries, and what they have to catch up on.
local function forget_idle(receiver)
  if string.sub(receiver, 1, 4) ~= 'url_' or redis.call('ZCARD', P .. 'dlvs:to:' .. receiver) > 0 then return end
  if redis.call('SISMEMBER', P .. 'missed', receiver) == 0 then redis.call('DEL', P .. 'hook:' .. receiver) end
end

local function forget_delivery(id)
  local was = redis.call('HMGET', P .. 'dlv:' .. id, 'account', 'status', 'receiver')
  redis.call('ZREM', P .. 'deliveries', id)
  if not was[1] then return end
  local account, status, receiver = was[1], was[2], was[3]
  redis.call('DEL', P .. 'dlv:' .. id)
  redis.call('ZREM', P .. 'dlvs:' .. account, id)
  redis.call('ZREM', P .. 'dlvs:' .. account .. ':' .. status, id)
  redis.call('ZREM', P .. 'dlvs:to:' .. receiver, id)
  redis.call('ZREM', P .. 'dq:' .. receiver, id)
  redis.call('ZREM', P .. 'leases', id)
  redis.call('SREM', P .. 'sending:' .. receiver, id)
  forget_idle(receiver)
end

-- status  'pending' | 'succeeded' | 'failed'
local function set_status(id, account, status)
  local was = redis.call('HGET', P .. 'dlv:' .. id, 'status')
  if was == status then return end
  local lists = P .. 'dlvs:' .. account .. ':'
  if was then redis.call('ZREM', lists .. was, id) end
  redis.call('HSET', P .. 'dlv:' .. id, 'status', status)
  redis.call('ZADD', lists .. status, 0, id)
  if status == 'pending' then return end
  redis.call('HDEL', P .. 'dlv:' .. id, 'next_at')
  if redis.call('ZCARD', lists .. status) > MOST_ENDED then
    forget_delivery(redis.call('ZRANGE', lists .. status, 0, 0)[1])
  end
end

-- Takes it from those on their way.
local function land(id, receiver)
  redis.call('ZREM', P .. 'leases', id)
  redis.call('SREM', P .. 'sending:' .. receiver, id)
  redis.call('HDEL', P .. 'dlv:' .. id, 'lease')
end

local function wait_until(id, receiver, due)
  redis.call('HSET', P .. 'dlv:' .. id, 'next_at', string.format('%.0f', due))
  redis.call('ZADD', P .. 'dq:' .. receiver, due, id)
end
