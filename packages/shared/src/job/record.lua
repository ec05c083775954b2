-- Ends a call, and with it the job or this run of it: credits, counters, state, lists and the word that it ended, in
-- one step, once only, however often it is asked and whatever BullMQ does.
-- a: generation, id, now is Redis's; trial_ms
--    row?         of a row of a batch: {part, previous?}, as end_row of rows.lua takes it
--    call?        the call that ended, with
--    adopt?       the call's own record, if it was granted by a Redis that has been emptied since; {…, attempts}
--    settlement?  {kind = 'spent', cost?} | {kind = 'released'} | {kind = 'uncertain', how}
--    reading?     {value, seq, started_at}   the balance that the answer's header told
--    counted      false: a deferral, the call uses no attempt
--    incident     true: no answer came that can be believed, or none at all; 'light': a gateway's word (see holds.lua)
--    status       'succeeded' | 'failed' | 'canceled' | 'expired' | 'queued' (put back) | 'parked' (its model is held, or its key)
--    parked_for?  'key:<account>'; its model if left out
--    uncertain    1 to count an unknown outcome against the job, 2 to count it also against UNCERTAIN_RETRIES
--    output?, error?   JSON, as texts
--    refusal?     {hold, detail}: the upstream refused, and it may be this job's own matter or everybody's. It is the
--                 job's only if others succeeded since it was refused before: then it is charged an attempt. Else
--                 nothing is, and three refusals without a success set the hold.
--    retry_at?    for people: when the next attempt is due
-- Returns {status = the job's state now ('parked' for queued without a place in the queue), late = true when the call was no longer the job's,
--          ended? = {at, attempts, uncertain, cost, created_at, started_at?} as texts, where this has ended it; of a row what it made in this run of its batch}
-- include ../redis/guard.lua
-- include ../credits/settle.lua
-- include ../credits/holds.lua
-- include finish.lua
-- include ../batch/rows.lua

-- What was told of a call that a job did not wait for may be told again. So long it is known to be counted, in milliseconds.
local KNOWN_MS = 3600000

local now = redis_now()
local job = P .. 'job:' .. a.id

local batch = row_of(a.id)
if a.adopt and redis.call('SET', P .. 'adopted:' .. a.call, 1, 'NX', 'PX', KNOWN_MS) then
  -- This Redis has not seen the call begin. It is taken in as if it had, and with it the row, if nobody else has it.
  local known = redis.call('HGET', P .. 'uncertain', a.call)
  known = known and cjson.decode(known)
  if not known and redis.call('HEXISTS', P .. 'calls', a.call) == 0 then
    redis.call('HSET', P .. 'calls', a.call, cjson.encode(a.adopt))
    redis.call('HINCRBY', P .. 'credits', 'reserved', a.adopt.estimate)
  end
  if batch and redis.call('EXISTS', job) == 0 then
    adopt_row(a.id, a.call, a.adopt, known and known.charged and known.estimate or 0)
  elseif batch and not known and redis.call('SREM', P .. 'kept:' .. batch, a.id) == 1 then
    -- It waits with calls of before, which it has been charged for. This one came after them.
    local was = redis.call('HMGET', job, 'attempts', 'uncertain', 'uncertain_tries', 'cost', 'started_at')
    local calls = math.max(a.adopt.attempts, tonumber(was[1]) + 1)
    adopt_row(a.id, a.call, a.adopt, was[4])
    redis.call('HSET', job, 'attempts', calls, 'tries', calls, 'uncertain', was[2], 'uncertain_tries', was[3])
    if was[5] then redis.call('HSET', job, 'started_at', was[5]) end
  end
end
local state = redis.call('HMGET', job, 'status', 'cancel', 'call', 'account', 'model')
local open = state[1] == 'queued' or state[1] == 'processing'
-- An image is taken also when its call was given up for lost, as long as no other call is in flight.
local ours = open and (a.call == nil and state[3] == '' or a.call == state[3] or a.status == 'succeeded' and state[3] == '')

local trial, charge, charged_at
local images = ours and a.status == 'succeeded' and 1 or 0
local account = state[4]
if a.call then
  local seq = credits_number('seq') or 0
  local entry = redis.call('HGET', P .. 'calls', a.call)
  trial = entry and cjson.decode(entry).trial
  entry = entry or redis.call('HGET', P .. 'uncertain', a.call)
  account = account or entry and cjson.decode(entry).account
  charge, charged_at = settle(a.call, a.settlement, now)
  if charge then
    if a.reading then take_reading(a.reading, seq, now, 'header')
    elseif a.settlement.kind == 'spent' then redis.call('HINCRBY', P .. 'credits', 'untold', 1) end
    if a.incident then count_incidents(1, a.trial_ms, now, a.incident == 'light' and LIGHT or GRAVE) end
  elseif ours and a.settlement.kind == 'spent' and a.settlement.cost and redis.call('EXISTS', P .. 'late:' .. a.call) == 0 then
    -- Redis lost the beginning of this call; what it cost is counted all the same.
    charge = spend(a.settlement.cost)
  end
  if charge and charge ~= 0 then
    if state[1] then redis.call('HINCRBY', job, 'cost', charge) end
    -- Where a row has ended without this call, its image was found in the store, with what it cost.
    if batch and (state[1] or not a.adopt) then charge_batch(batch, charge) end
  end
  book(account, batch, charge or 0, images, now, charged_at)
  if a.status == 'succeeded' and (charge or ours) then
    redis.call('HSET', P .. 'credits', 'streak', 0)
    local model = 'model:' .. (state[5] or '')
    redis.call('HDEL', P .. 'holds', 'upstream', model)
    redis.call('HDEL', P .. 'refusals', 'credits', model)
    redis.call('HSET', P .. 'successes', 'credits', now, model, now)
    local credits_hold = redis.call('HGET', P .. 'holds', 'credits')
    if credits_hold and cjson.decode(credits_hold).trial_at then release_credits('rendered', now) end
  end
  turn(now)
else
  -- Its image was found.
  book(account, batch, 0, images, now)
end

if not state[1] then return cjson.encode({ status = 'gone', late = true }) end
if not ours then
  if charge and open then redis.call('SET', P .. 'late:' .. a.call, 1, 'PX', KNOWN_MS) end
  -- A job that was given up keeps what comes too late: a retry finds it, and pays for nothing.
  local given_up = state[1] == 'failed' or state[1] == 'canceled' or state[1] == 'expired'
  if given_up and a.output and a.status == 'succeeded' and (redis.call('HGET', job, 'output') or '[]') == '[]' then
    redis.call('HSET', job, 'output', a.output)
    book(account, batch, 0, 1, now)
  end
  return cjson.encode({ status = state[1], late = true })
end

local counted, status = a.counted, a.status
-- Who tries whether the upstream is there again, and finds it is not, pays no attempt for it.
if trial and a.incident and a.settlement.kind == 'released' then counted, status = false, 'queued' end
if a.refusal then
  local name = a.refusal.hold
  local refused_at = tonumber(redis.call('HGET', job, 'refused_at') or nil)
  local succeeded_at = tonumber(redis.call('HGET', P .. 'successes', name) or nil)
  redis.call('HSET', job, 'refused_at', now)
  if not (refused_at and succeeded_at and succeeded_at > refused_at) then
    counted, status = false, 'queued'
    if redis.call('HINCRBY', P .. 'refusals', name, 1) >= 3 then
      set_hold(name, { detail = a.refusal.detail, trial_at = now + a.trial_ms }, now)
      if name ~= 'credits' then status = 'parked' end
    end
  end
end

if a.uncertain then
  redis.call('HINCRBY', job, 'uncertain', 1)
  if batch then redis.call('HINCRBY', P .. 'batch:' .. batch, 'uncertain', 1) end
end
if a.uncertain == 2 then redis.call('HINCRBY', job, 'uncertain_tries', 1) end
if a.call and not counted then
  redis.call('HINCRBY', job, 'attempts', -1)
  redis.call('HINCRBY', job, 'tries', -1)
end

-- A cancel that came in mid-call let the call end; what was paid for is kept.
if state[2] then status = 'canceled' end
-- For the log: a row is forgotten when it ends.
local made = redis.call('HMGET', job, 'attempts', 'uncertain', 'cost', 'created_at', 'started_at')
local ended = {
  at = string.format('%.0f', now), attempts = made[1], uncertain = made[2], cost = made[3], created_at = made[4],
  started_at = made[5] or nil,
}
if batch then
  redis.call('HSET', job, 'call', '')
  if status == 'succeeded' or status == 'failed' then
    end_row(a.id, status, now, a.row, a.output, status == 'failed' and a.error or nil)
    return cjson.encode({ status = status, ended = ended })
  elseif status == 'parked' then
    if row_may_run(a.id, now) then give_back(a.id, now) end
    status = 'parked'
  elseif not row_may_run(a.id, now) then
    status = 'parked'
  elseif not redis.call('ZSCORE', P .. 'fed', a.id) then
    -- It was adopted, and has no ticket.
    give_back(a.id, now)
    status = 'parked'
  else
    redis.call('HSET', job, 'status', 'queued')
    if state[1] == 'processing' then row_rests(batch, now) end
  end
  return cjson.encode({ status = status })
end
if status == 'queued' or status == 'parked' then
  redis.call('HSET', job, 'status', 'queued', 'call', '')
  if a.retry_at then redis.call('HSET', job, 'retry_at', a.retry_at) else redis.call('HDEL', job, 'retry_at') end
  redis.call('ZREM', P .. 'jobs:' .. state[4] .. ':processing', a.id)
  redis.call('ZADD', P .. 'jobs:' .. state[4] .. ':queued', 0, a.id)
  if status == 'parked' then
    unfeed(a.id)
    -- Scored by time, so that the next trial is another job's.
    local lot = a.parked_for or state[5]
    redis.call('ZADD', P .. 'parked:' .. lot, now, a.id)
    redis.call('SADD', P .. 'parked', lot)
  end
  live(state[4], 'job.queued', now, 'job', a.id)
  return cjson.encode({ status = status })
end
local fields = { 'output', a.output or '[]' }
if a.error and (status == 'failed' or status == 'expired') then
  fields[3], fields[4] = 'error', a.error
end
finish(a.id, status, now, fields)
return cjson.encode({ status = status, ended = ended })
