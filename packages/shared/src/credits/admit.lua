-- Decides whether a call may be made now, and if so reserves its credits and leases it a slot, in one step.
-- a: generation, job, call, worker, model, class, estimate (nanocredits), floor (nanocredits; one set by hand comes before it), slots, lease_ms,
--    pace {calls, window_ms, spacing_ms}, trial_ms, resolve_ms (how long a call can still be billed)
-- Returns {verdict = 'go', seq, estimate, started_at}
--       | {verdict = 'wait', reason = 'slot'|'pace'|'drain'|'learn', ms}   ask again after ms
--       | {verdict = 'hold', name, ms}                             the hold stands; ms until it may end, if known
--       | {verdict = 'probe'}                                      ask the upstream for the balance, then ask again
--       | {verdict = 'gone'}                                       the job ended, or was canceled, or is another's
-- include ../redis/guard.lua
-- include settle.lua
-- include holds.lua
-- include ../batch/rows.lua
-- include line.lua
-- include rate.lua

-- A single job that waits has to ask again within this time of its turn, in milliseconds, or it goes before nobody.
local AHEAD_MS = 1000
local function in_credits(nano) return string.format('%.6g', nano / 1000000000) end

local now = redis_now()
local _, incidents = reap(now)
count_incidents(incidents, a.trial_ms, now)

local job = P .. 'job:' .. a.job
local state = redis.call('HMGET', job, 'status', 'cancel', 'call', 'batch', 'account')
local batch, account = state[4], state[5]
if redis.call('HEXISTS', P .. 'calls', a.call) == 1 then
  -- The answer to this very question was lost on its way; it is given again.
  local entry = cjson.decode(redis.call('HGET', P .. 'calls', a.call))
  return cjson.encode({ verdict = 'go', seq = entry.seq, estimate = entry.estimate, started_at = entry.started_at })
end
if (state[1] ~= 'queued' and state[1] ~= 'processing') or state[2] or (state[3] and state[3] ~= '') then
  return cjson.encode({ verdict = 'gone' })
end
-- Of a row that was given back another ticket is to be made first.
if batch and (not row_may_run(a.job, now) or not redis.call('ZSCORE', P .. 'fed', a.job)) then
  return cjson.encode({ verdict = 'gone' })
end

local trials = {}
local names = { 'upgrade', 'operator', 'unauthorized', 'credits', 'store', 'upstream', 'rate', 'model:' .. a.model, 'key:' .. account }
-- Whatever is nobody's own holds all work, also what only a newer version knows, which is about to take over.
local known = {}
for _, name in ipairs(names) do known[name] = true end
for _, name in ipairs(redis.call('HKEYS', P .. 'holds')) do
  if not known[name] and not string.find(name, ':', 1, true) then names[#names + 1] = name end
end
for _, name in ipairs(names) do
  local passing, hold = passes(name, now)
  if not passing then
    local ends = hold['until'] or hold.trial_at
    return cjson.encode({ verdict = 'hold', name = name, ms = ends and math.max(ends - now, 1) or nil })
  end
  if hold then trials[name] = hold end
end

-- Single jobs that were told to wait for a slot or for their turn go before rows.
local function wait(reason, ms)
  if not batch then redis.call('ZADD', P .. 'ahead', now + ms + AHEAD_MS, a.job)
  elseif reason == 'slot' then line_up(batch, account, ms, now) end
  return cjson.encode({ verdict = 'wait', reason = reason, ms = ms })
end
redis.call('ZREMRANGEBYSCORE', P .. 'ahead', '-inf', now)

local in_flight = redis.call('ZCARD', P .. 'slots')
local balance = credits_number('balance')
local estimate, learned = expected_cost(a.class, a.model, a.estimate)
local seq = credits_number('seq') or 0
local floor = tonumber(redis.call('HGET', P .. 'policy', 'floor') or nil) or a.floor
local probed = credits_number('probed_seq')
-- A worker has started, and nobody knows what happened to the account since the balance was read.
if credits_number('doubt') then return cjson.encode({ verdict = 'probe' }) end
if balance == nil then
  -- Without any usable balance one call at a time, if there is no floor to keep; the upstream refuses at zero itself.
  if probed == nil then return cjson.encode({ verdict = 'probe' }) end
  if floor > 0 then
    set_hold('credits', { detail = 'The balance cannot be read, so the floor could not be kept. Work goes on once it can.', unread = true, cause = 'balance_unread' }, now)
    return cjson.encode({ verdict = 'hold', name = 'credits' })
  end
  if in_flight > 0 then return wait('drain', 250) end
else
  local left = balance - (credits_number('reserved') or 0) - (credits_number('uncertain') or 0) - floor
  -- Where headers are all that tells the balance, a top-up is seen by no reading. Without a floor the upstream, which
  -- refuses for nothing, is asked by one call at times.
  local by_trial = floor <= 0 and credits_number('header_only') == 1
  if left < estimate and not (by_trial and trials.credits and in_flight == 0) then
    drain(estimate, now)
    -- Readings under load err on the low side: let calls in flight end, ask for the balance, and only then hold.
    if in_flight > 0 then return wait('drain', 250) end
    if probed ~= seq then return cjson.encode({ verdict = 'probe' }) end
    set_hold('credits', { detail = 'The credits left are kept: another image would go below the floor. Work goes on after a top-up.', estimate = estimate, job = a.job, cause = 'floor_reached',
      trial_at = by_trial and now + a.trial_ms or nil }, now)
    return cjson.encode({ verdict = 'hold', name = 'credits' })
  end
end

-- Nobody knows yet how far the guess is from what the model costs. Unless even the worst that would be believed could be
-- paid for in every slot, one call finds that out before others follow.
local alone = not learned and balance ~= nil and balance - floor < MOST_TIMES * estimate * a.slots
local first = alone and redis.call('GET', P .. 'first')
if first and redis.call('HEXISTS', P .. 'calls', first) == 1 then
  return cjson.encode({ verdict = 'wait', reason = 'learn', ms = 250 })
end

if batch then
  local limits = redis.call('HMGET', P .. 'batch:' .. batch, 'budget', 'cost', 'reserved')
  local budget, cost, reserved = tonumber(limits[1] or nil), tonumber(limits[2]), tonumber(limits[3])
  if budget and cost + reserved + estimate > budget then
    -- Calls in flight may cost less than was reserved for them.
    if reserved > 0 then return wait('drain', 250) end
    pause_batch(batch, 'batch_budget', string.format(
      'Of the budget of %s credits %s are spent, and another image is expected to cost %s. Raise the budget to go on.',
      in_credits(budget), in_credits(cost), in_credits(estimate)), now)
    give_back(a.job, now)
    return cjson.encode({ verdict = 'gone' })
  end
end

local over, budget, spent, key_reserved = key_over(account, estimate, now)
if over then
  -- Calls of the key in flight may cost less than was reserved for them: it is looked again soon. Nobody else waits.
  local again = key_reserved > 0 and now + KEY_AGAIN_MS or over == 'day' and (day_of(now) + 1) * DAY_MS or nil
  set_hold('key:' .. account, { ['until'] = again, detail = string.format(
    'Of the %s of %s credits of the API key “%s”, %s are spent%s, and another image is expected to cost %s. Raise it to go on%s.',
    over == 'day' and 'budget for today (UTC)' or 'budget', in_credits(budget), account, in_credits(spent),
    key_reserved > 0 and string.format(' and %s set aside for calls in flight', in_credits(key_reserved)) or '', in_credits(estimate),
    over == 'day' and '; tomorrow it goes on by itself' or '') }, now)
  return cjson.encode({ verdict = 'hold', name = 'key:' .. account, ms = again and again - now or nil })
end

local ahead = batch and redis.call('ZCARD', P .. 'ahead') or 0
if in_flight + ahead >= a.slots or batch and is_others_turn(batch, account, now) then return wait('slot', 100) end

-- Calls were billed and nothing has told what is left: what was read before them is believed no longer.
if balance and (credits_number('untold') or 0) >= a.slots then return cjson.encode({ verdict = 'probe' }) end

-- Pace: of the last calls, newest first, the one that is `calls` back must lie a whole window behind, which keeps every
-- sliding window; and the last one must lie `spacing_ms` behind, which keeps calls from coming in bursts.
local behind = redis.call('LINDEX', P .. 'pace', a.pace.calls - 1)
local last = redis.call('LINDEX', P .. 'pace', 0)
local due = math.floor(math.max(behind and behind + a.pace.window_ms or 0, last and last + a.pace.spacing_ms or 0))
if now < due then return wait('pace', due - now) end
if ahead > 0 then return wait('pace', math.max(a.pace.spacing_ms, 10)) end
redis.call('ZREM', P .. 'ahead', a.job)
redis.call('LPUSH', P .. 'pace', now)
redis.call('LTRIM', P .. 'pace', 0, a.pace.calls - 1)
redis.call('PEXPIRE', P .. 'pace', math.ceil(a.pace.window_ms))
count_call(now)

-- An image as dear as the one that waited for credits can be paid for.
local waited = credits_number('drain')
if waited and estimate >= waited then drained(now, 'enough') end

local trial
for name, hold in pairs(trials) do
  trial = true
  hold.trial_at = now + a.trial_ms
  redis.call('HSET', P .. 'holds', name, cjson.encode(hold))
end
if alone then redis.call('SET', P .. 'first', a.call) end
redis.call('ZADD', P .. 'slots', now + a.lease_ms, a.call)
redis.call('HSET', P .. 'calls', a.call, cjson.encode({
  job = a.job, account = account, of_key = account, of_batch = batch and true or nil, worker = a.worker, model = a.model, class = a.class, estimate = estimate, guess = a.estimate,
  started_at = now, resolve_after = now + a.resolve_ms, seq = seq, trial = trial,
}))
redis.call('HINCRBY', P .. 'credits', 'reserved', estimate)
reserve_of_key(account, estimate)
redis.call('HINCRBY', job, 'attempts', 1)
redis.call('HINCRBY', job, 'tries', 1)
redis.call('HSETNX', job, 'started_at', now)
redis.call('HSET', job, 'call', a.call)
if batch then
  had_slot(batch, account, now)
  redis.call('HINCRBY', P .. 'batch:' .. batch, 'reserved', estimate)
  redis.call('HSETNX', P .. 'batch:' .. batch, 'started_at', now)
  if state[1] == 'queued' then
    redis.call('HSET', job, 'status', 'processing')
    redis.call('HINCRBY', P .. 'batch:' .. batch, 'processing', 1)
  end
elseif state[1] == 'queued' then
  redis.call('HSET', job, 'status', 'processing')
  redis.call('ZREM', P .. 'jobs:' .. account .. ':queued', a.job)
  redis.call('ZADD', P .. 'jobs:' .. account .. ':processing', 0, a.job)
  live(account, 'job.processing', now, 'job', a.job)
end
return cjson.encode({ verdict = 'go', seq = seq, estimate = estimate, started_at = now })
