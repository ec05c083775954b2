-- Decides whether a call may be made now, and if so reserves its credits and leases it a slot, in one step.
-- a: generation, job, call, worker, model, class, estimate (nanocredits), floor (nanocredits), slots, lease_ms,
--    pace {calls, window_ms, spacing_ms}, trial_ms, resolve_ms (how long a call can still be billed)
-- Returns {verdict = 'go', seq, estimate, started_at}
--       | {verdict = 'wait', reason = 'slot'|'pace'|'drain', ms}   ask again after ms
--       | {verdict = 'hold', name, ms}                             the hold stands; ms until it may end, if known
--       | {verdict = 'probe'}                                      ask the upstream for the balance, then ask again
--       | {verdict = 'gone'}                                       the job ended, or was canceled, or is another's
-- include ../redis/guard.lua
-- include settle.lua
-- include holds.lua

local now = redis_now()
local _, incidents = reap(now)
count_incidents(incidents, a.trial_ms, now)

local job = P .. 'job:' .. a.job
local state = redis.call('HMGET', job, 'status', 'cancel', 'call')
if redis.call('HEXISTS', P .. 'calls', a.call) == 1 then
  -- The answer to this very question was lost on its way; it is given again.
  local entry = cjson.decode(redis.call('HGET', P .. 'calls', a.call))
  return cjson.encode({ verdict = 'go', seq = entry.seq, estimate = entry.estimate, started_at = entry.started_at })
end
if (state[1] ~= 'queued' and state[1] ~= 'processing') or state[2] or (state[3] and state[3] ~= '') then
  return cjson.encode({ verdict = 'gone' })
end

local trials = {}
for _, name in ipairs({ 'operator', 'unauthorized', 'credits', 'store', 'upstream', 'rate', 'model:' .. a.model }) do
  local passing, hold = passes(name, now)
  if not passing then
    local ends = hold['until'] or hold.trial_at
    return cjson.encode({ verdict = 'hold', name = name, ms = ends and math.max(ends - now, 1) or nil })
  end
  if hold then trials[name] = hold end
end

local in_flight = redis.call('ZCARD', P .. 'slots')
local balance = credits_number('balance')
local estimate = math.max(tonumber(redis.call('HGET', P .. 'estimates', a.class) or a.estimate), 1)
local seq = credits_number('seq') or 0
local probed = credits_number('probed_seq')
-- A worker has started, and nobody knows what happened to the account since the balance was read.
if credits_number('doubt') then return cjson.encode({ verdict = 'probe' }) end
if balance == nil then
  -- Without any usable balance one call at a time, if there is no floor to keep; the upstream refuses at zero itself.
  if probed == nil then return cjson.encode({ verdict = 'probe' }) end
  if a.floor > 0 then
    set_hold('credits', { detail = 'The balance cannot be read, so the floor could not be kept. Work goes on once it can.', unread = true }, now)
    return cjson.encode({ verdict = 'hold', name = 'credits' })
  end
  if in_flight > 0 then return cjson.encode({ verdict = 'wait', reason = 'drain', ms = 250 }) end
else
  local left = balance - (credits_number('reserved') or 0) - (credits_number('uncertain') or 0) - a.floor
  if left < estimate then
    -- Readings under load err on the low side: let calls in flight end, ask for the balance, and only then hold.
    if in_flight > 0 then return cjson.encode({ verdict = 'wait', reason = 'drain', ms = 250 }) end
    if probed ~= seq then return cjson.encode({ verdict = 'probe' }) end
    set_hold('credits', { detail = 'The credits left are kept: another image would go below the floor. Work goes on after a top-up.', estimate = estimate }, now)
    return cjson.encode({ verdict = 'hold', name = 'credits' })
  end
end

if in_flight >= a.slots then return cjson.encode({ verdict = 'wait', reason = 'slot', ms = 100 }) end

-- Pace: of the last calls, newest first, the one that is `calls` back must lie a whole window behind, which keeps every
-- sliding window; and the last one must lie `spacing_ms` behind, which keeps calls from coming in bursts.
local behind = redis.call('LINDEX', P .. 'pace', a.pace.calls - 1)
local last = redis.call('LINDEX', P .. 'pace', 0)
local due = math.floor(math.max(behind and behind + a.pace.window_ms or 0, last and last + a.pace.spacing_ms or 0))
if now < due then return cjson.encode({ verdict = 'wait', reason = 'pace', ms = due - now }) end
redis.call('LPUSH', P .. 'pace', now)
redis.call('LTRIM', P .. 'pace', 0, a.pace.calls - 1)
redis.call('PEXPIRE', P .. 'pace', math.ceil(a.pace.window_ms))

local trial
for name, hold in pairs(trials) do
  trial = true
  hold.trial_at = now + a.trial_ms
  redis.call('HSET', P .. 'holds', name, cjson.encode(hold))
end
redis.call('ZADD', P .. 'slots', now + a.lease_ms, a.call)
redis.call('HSET', P .. 'calls', a.call, cjson.encode({
  job = a.job, worker = a.worker, model = a.model, class = a.class, estimate = estimate, guess = a.estimate,
  started_at = now, resolve_after = now + a.resolve_ms, seq = seq, trial = trial,
}))
redis.call('HINCRBY', P .. 'credits', 'reserved', estimate)
redis.call('HINCRBY', job, 'attempts', 1)
redis.call('HINCRBY', job, 'tries', 1)
redis.call('HSETNX', job, 'started_at', now)
redis.call('HSET', job, 'call', a.call)
if state[1] == 'queued' then
  local account = redis.call('HGET', job, 'account')
  redis.call('HSET', job, 'status', 'processing')
  redis.call('ZREM', P .. 'jobs:' .. account .. ':queued', a.job)
  redis.call('ZADD', P .. 'jobs:' .. account .. ':processing', 0, a.job)
end
return cjson.encode({ verdict = 'go', seq = seq, estimate = estimate, started_at = now })
