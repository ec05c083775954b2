-- include balance.lua
-- include ../batch/rows.lua
-- The credit ledger. Nanocredits, in the hash P..'credits':
--   balance   left by the last word we have; missing when never read
--   reserved  sum of the estimates of calls in flight (the hash P..'calls', leased in the sorted set P..'slots')
--   uncertain sum of the estimates of calls whose outcome is unknown (the hash P..'uncertain') and not yet read back
--   spent     sum of what was settled as spent, for the books
--   seq       settlements so far, and uncertain calls of which a reading told the cost: a reading is quiet when seq did
--             not move between its request's start and its arrival

local function credits_number(field)
  return tonumber(redis.call('HGET', P .. 'credits', field) or nil)
end

-- in_balance: the balance was read after this was billed.
local function spend(cost, in_balance)
  redis.call('HINCRBY', P .. 'credits', 'spent', cost)
  -- A cost of 0 negated would be written "-0", which Redis takes for no number.
  if not in_balance and credits_number('balance') then redis.call('HINCRBY', P .. 'credits', 'balance', 0 - cost) end
  return cost
end

-- What a row's call has reserved of its batch's budget is kept until the call is charged to it or released.
local function release_of_batch(entry)
  local batch = entry.of_batch and row_of(entry.job)
  entry.of_batch = nil
  if batch and redis.call('EXISTS', P .. 'batch:' .. batch) == 1 then
    redis.call('HINCRBY', P .. 'batch:' .. batch, 'reserved', 0 - entry.estimate)
  end
end

-- Ends a call of a live worker or of a lost one, once only.
--   settlement.kind  'spent' (settlement.cost, nil for the estimate) | 'released' | 'uncertain' (settlement.how)
-- Returns what this adds to the cost of the call's job, or nil when the call was settled before.
local function settle(id, settlement, now)
  local call, lost = redis.call('HGET', P .. 'calls', id), false
  if not call then
    call, lost = redis.call('HGET', P .. 'uncertain', id), true
    if not call then return nil end
  end
  local entry = cjson.decode(call)
  if lost then
    if settlement.kind == 'uncertain' then
      if entry.charged then return nil end
      entry.charged = true
      release_of_batch(entry)
      redis.call('HSET', P .. 'uncertain', id, cjson.encode(entry))
      return entry.estimate
    end
    redis.call('HDEL', P .. 'uncertain', id)
    release_of_batch(entry)
    -- A quiet reading that came later already holds what the call cost.
    if not entry.resolved then
      redis.call('HINCRBY', P .. 'credits', 'uncertain', -entry.estimate)
    end
  else
    redis.call('HDEL', P .. 'calls', id)
    redis.call('ZREM', P .. 'slots', id)
    redis.call('HINCRBY', P .. 'credits', 'reserved', -entry.estimate)
    if settlement.how ~= 'lost_worker' then release_of_batch(entry) end
  end
  local charged = entry.charged and entry.estimate or 0
  if settlement.kind == 'released' then return -charged end
  redis.call('HINCRBY', P .. 'credits', 'seq', 1)
  if settlement.kind == 'uncertain' then
    -- A call that is reaped is charged to its job when the job's next run finds it.
    entry.how, entry.at, entry.charged = settlement.how, now, settlement.how ~= 'lost_worker'
    redis.call('HSET', P .. 'uncertain', id, cjson.encode(entry))
    redis.call('HINCRBY', P .. 'credits', 'uncertain', entry.estimate)
    return entry.estimate
  end
  -- A cost a thousand times beyond what was set is no cost; the next balance knows better.
  local told = settlement.cost and settlement.cost <= entry.guess * 1000 and settlement.cost
  local cost = told or entry.estimate
  spend(cost, entry.resolved)
  if told and told > 0 then
    -- The next of its class is expected to cost what this one did, or a little less than the dearest seen lately. A cost
    -- far above what was set, or of nothing, is more likely garbage: it is counted, but little is learned from it.
    local learned = tonumber(redis.call('HGET', P .. 'estimates', entry.class) or '0')
    local expected = math.max(cost, math.floor(learned * 0.98))
    redis.call('HSET', P .. 'estimates', entry.class, math.min(expected, entry.guess * 20))
  end
  return cost - charged
end

-- Takes in a reading of the balance: value, seq at its request's start, and that start by Redis's clock.
--   may_raise  the balance call may; a header may be garbage, and raises nothing as long as the call can be asked
local function take_reading(reading, seq_before_settling, now, may_raise)
  local quiet = reading.seq == seq_before_settling
  local balance = balance_after(credits_number('balance'), reading.value, quiet and may_raise)
  redis.call('HSET', P .. 'credits', 'balance', balance, 'read_at', now)
  if not quiet then return end
  -- A quiet reading knows what an uncertain call has cost, once it is too old to be billed any more.
  local all = redis.call('HGETALL', P .. 'uncertain')
  for i = 1, #all, 2 do
    local entry = cjson.decode(all[i + 1])
    if not entry.resolved and entry.resolve_after <= reading.started_at then
      entry.resolved = true
      -- Readings that are on their way may know of less than this one, so they are quiet no more.
      redis.call('HINCRBY', P .. 'credits', 'seq', 1)
      redis.call('HINCRBY', P .. 'credits', 'uncertain', -entry.estimate)
      redis.call('HSET', P .. 'uncertain', all[i], cjson.encode(entry))
    end
  end
end

-- Calls whose lease ran out: their worker is dead, frozen or cut off. The slot is free at once; the credits become
-- uncertain, never simply released. Calls lost with one worker are one incident, not several, though leases that began
-- at different times end at different times: what else a worker loses within LOST_MS belongs to the same loss.
local LOST_MS = 60000
local function reap(now)
  local expired = redis.call('ZRANGEBYSCORE', P .. 'slots', '-inf', now, 'LIMIT', 0, 200)
  local incidents = 0
  for _, id in ipairs(expired) do
    local call = redis.call('HGET', P .. 'calls', id)
    if call then
      local worker = cjson.decode(call).worker
      if redis.call('SET', P .. 'lost:' .. worker, now, 'NX', 'PX', LOST_MS) then incidents = incidents + 1 end
    end
    settle(id, { kind = 'uncertain', how = 'lost_worker' }, now)
    redis.call('ZREM', P .. 'slots', id)
  end
  return expired, incidents
end
