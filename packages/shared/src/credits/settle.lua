-- include fields.lua
-- include balance.lua
-- include reconcile.lua
-- include estimates.lua
-- include books.lua
-- include states.lua
-- include ../batch/rows.lua
-- How calls are settled and the balance is taken in, see fields.lua.

--   in_balance  the balance was read after this was billed
--   compared    how our books were compared with it: 'missed', this was found missing; 'unseen', it was the first balance
local function spend(cost, in_balance, compared)
  redis.call('HINCRBY', P .. 'credits', 'spent', cost)
  if in_balance then
    if compared then explained(cost, compared == 'missed') end
  -- A cost of 0 negated would be written "-0", which Redis takes for no number.
  elseif credits_number('balance') then redis.call('HINCRBY', P .. 'credits', 'balance', 0 - cost) end
  return cost
end

-- What a call has reserved of its key's budget and its batch's is kept until the call is charged to them or released.
local function release_of_budgets(entry)
  if entry.of_key then reserve_of_key(entry.of_key, 0 - entry.estimate) end
  entry.of_key = nil
  local batch = entry.of_batch and row_of(entry.job)
  entry.of_batch = nil
  if batch and redis.call('EXISTS', P .. 'batch:' .. batch) == 1 then
    redis.call('HINCRBY', P .. 'batch:' .. batch, 'reserved', 0 - entry.estimate)
  end
end

-- Ends a call of a live worker or of a lost one, once only.
--   settlement.kind  'spent' (settlement.cost, nil for the estimate) | 'released' | 'uncertain' (settlement.how)
-- Returns what this adds to the cost of the call's job, or nil when the call was settled before; and when it was charged.
local function settle(id, settlement, now)
  local call, lost = redis.call('HGET', P .. 'calls', id), false
  if not call then
    call, lost = redis.call('HGET', P .. 'uncertain', id), true
    if not call then return nil end
  end
  local entry = cjson.decode(call)
  if lost then
    if entry.upstream then
      -- Of an upstream that we work for no more: what it has cost is no matter of these books.
      if settlement.kind ~= 'uncertain' then redis.call('HDEL', P .. 'uncertain', id) end
      return nil
    end
    if settlement.kind == 'uncertain' then
      if entry.charged then return nil end
      entry.charged, entry.charged_at = true, now
      release_of_budgets(entry)
      redis.call('HSET', P .. 'uncertain', id, cjson.encode(entry))
      return entry.estimate
    end
    redis.call('HDEL', P .. 'uncertain', id)
    release_of_budgets(entry)
    -- A quiet reading that came later already holds what the call cost.
    if not entry.resolved then
      redis.call('HINCRBY', P .. 'credits', 'uncertain', -entry.estimate)
    end
  else
    redis.call('HDEL', P .. 'calls', id)
    redis.call('ZREM', P .. 'slots', id)
    redis.call('HINCRBY', P .. 'credits', 'reserved', -entry.estimate)
    if settlement.how ~= 'lost_worker' then release_of_budgets(entry) end
  end
  local charged = entry.charged and entry.estimate or 0
  if settlement.kind == 'released' then return 0 - charged, entry.charged_at end
  redis.call('HINCRBY', P .. 'credits', 'seq', 1)
  if settlement.kind == 'uncertain' then
    -- A call that is reaped is charged to its job when the job's next run finds it.
    entry.how, entry.at, entry.charged = settlement.how, now, settlement.how ~= 'lost_worker'
    entry.charged_at = entry.charged and now or nil
    -- What the balance does from now on can only be told where it was exact before.
    entry.net = credits_number('exact_balance') and (credits_number('net') or 0) or nil
    redis.call('HSET', P .. 'uncertain', id, cjson.encode(entry))
    redis.call('HINCRBY', P .. 'credits', 'uncertain', entry.estimate)
    return entry.estimate
  end
  -- A cost a thousand times beyond what was set is no cost; the next balance knows better.
  local told = settlement.cost and settlement.cost <= entry.guess * 1000 and settlement.cost
  local cost = told or entry.estimate
  spend(cost, entry.resolved, entry.compared)
  if told and told > 0 then learn(entry.class, told, entry.guess, now) end
  -- Where costs are not told there is nothing to wait for: the guess counts.
  if settlement.cost ~= 0 then learn_ratio(entry.model, told or entry.guess, entry.guess) end
  return cost - charged, entry.charged_at
end

-- What a header says, as the balance call would have said it; see offset_of.
local function header_as_balance(value)
  redis.call('HSET', P .. 'credits', 'header', value)
  local differences = cjson.decode(redis.call('HGET', P .. 'credits', 'header_differences') or '[]')
  return value + offset_of(differences)
end

-- The balance call, exact, and the header told last before it are a pair.
local function pair_with_header(value)
  local header = credits_number('header')
  if not header then return end
  redis.call('HDEL', P .. 'credits', 'header')
  local differences = cjson.decode(redis.call('HGET', P .. 'credits', 'header_differences') or '[]')
  table.insert(differences, 1, value - header)
  differences[PAIRS + 1] = nil
  redis.call('HSET', P .. 'credits', 'header_differences', cjson.encode(differences))
end

-- Takes in a reading of the balance: value, seq at its request's start, and that start by Redis's clock.
--   by  'call': the balance call, which may raise; 'header': a header may be garbage, and raises nothing as long as the
--       call can be asked
local function take_reading(reading, seq_before_settling, now, by)
  local header_only = credits_number('header_only') == 1
  local quiet = reading.seq == seq_before_settling
  local value = reading.value
  if by == 'header' and not header_only then value = header_as_balance(value) end
  local exact = quiet and (by == 'call' or header_only)
  redis.call('HDEL', P .. 'credits', 'untold')
  -- A first balance must be exact: what was settled before it came was taken off nothing.
  if not exact and not credits_number('balance') then return end
  redis.call('HSET', P .. 'credits', 'balance', balance_after(credits_number('balance'), value, exact), 'read_at', now)
  if not exact then return end
  local compared
  if redis.call('ZCARD', P .. 'slots') == 0 then
    if by == 'call' then pair_with_header(value) end
    compared = reconcile(value, now) and 'missed' or 'unseen'
  end
  -- Readings that are on their way may know of less than this one, so they are quiet no more.
  redis.call('HINCRBY', P .. 'credits', 'seq', 1)
  -- It knows what an uncertain call has cost, once that is too old to be billed any more.
  local all = redis.call('HGETALL', P .. 'uncertain')
  for i = 1, #all, 2 do
    local entry = cjson.decode(all[i + 1])
    local resolves = not entry.resolved and entry.resolve_after <= reading.started_at
    if resolves then
      entry.resolved = true
      redis.call('HINCRBY', P .. 'credits', 'uncertain', -entry.estimate)
    end
    local first = compared and entry.resolved and not entry.compared
    if first then entry.compared, entry.net_then = compared, compared == 'missed' and (credits_number('net') or 0) or nil end
    if resolves or first then redis.call('HSET', P .. 'uncertain', all[i], cjson.encode(entry)) end
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
  if #expired > 0 then turn(now) end
  return expired, incidents
end
