-- What was spent when, by whom and for what.
--   books:<hour>   hash: `<account>|<batch or nothing>|c` nanocredits, `…|n` images; hours since 1970
--   hours          sorted set of the hours that have books
--   unnoted-days   hash: day -> number of its last change of which the store was not told; no two changes share one
--   keys           set of the accounts that have spent
--   key:<account>  hash: total, reserved (estimates of its calls in flight), day, day_spent (days since 1970, UTC)
--   budgets        hash: account -> JSON {day?, total?}, decided by hand
local HOUR_MS, DAY_MS = 3600000, 86400000
local KEPT_HOURS = 35 * 24
-- Where calls of a key in flight may cost less than is reserved for them, it is looked again after this, in milliseconds.
local KEY_AGAIN_MS = 2000

local function day_of(now) return math.floor(now / DAY_MS) end

local function unnoted(day) redis.call('HSET', P .. 'unnoted-days', day, redis.call('HINCRBY', P .. 'credits', 'changes', 1)) end

-- A new day begins with nothing spent.
local function key_today(account, now)
  local key, today = P .. 'key:' .. account, day_of(now)
  local state = redis.call('HMGET', key, 'day', 'day_spent', 'total', 'reserved')
  if tonumber(state[1] or nil) ~= today then
    redis.call('HSET', key, 'day', today, 'day_spent', 0)
    state[2] = 0
  end
  return { day = tonumber(state[2]), total = tonumber(state[3] or 0), reserved = tonumber(state[4] or 0) }
end

local function reserve_of_key(account, amount)
  redis.call('SADD', P .. 'keys', account)
  redis.call('HINCRBY', P .. 'key:' .. account, 'reserved', amount)
end

-- Books a change of what an account has spent; a correction is negative.
--   charged_at  when that was charged which is corrected: what is less of another day is no more for today
local function book(account, batch, credits, images, now, charged_at)
  if not account or (credits == 0 and images == 0) then return end
  local hour = math.floor(now / HOUR_MS)
  local key, entry = P .. 'books:' .. hour, account .. '|' .. (batch or '') .. '|'
  redis.call('HINCRBY', key, entry .. 'c', credits)
  if images > 0 then redis.call('HINCRBY', key, entry .. 'n', images) end
  if redis.call('ZADD', P .. 'hours', hour, hour) == 1 then
    redis.call('PEXPIRE', key, (KEPT_HOURS + 1) * HOUR_MS)
    redis.call('ZREMRANGEBYSCORE', P .. 'hours', '-inf', hour - KEPT_HOURS)
  end
  unnoted(day_of(now))
  redis.call('SADD', P .. 'keys', account)
  key_today(account, now)
  redis.call('HINCRBY', P .. 'key:' .. account, 'total', credits)
  if credits > 0 or day_of(charged_at or now) == day_of(now) then
    redis.call('HINCRBY', P .. 'key:' .. account, 'day_spent', credits)
  end
  -- Who is over the budget still is held again with the next image.
  if credits < 0 then redis.call('HDEL', P .. 'holds', 'key:' .. account) end
end

-- The budget that a call of this estimate would break: 'day' or 'total', its amount, what is spent of it, and what is
-- reserved. Nil where none is broken.
local function key_over(account, estimate, now)
  local budget = redis.call('HGET', P .. 'budgets', account)
  if not budget then return nil end
  budget = cjson.decode(budget)
  local spent = key_today(account, now)
  for _, name in ipairs({ 'total', 'day' }) do
    if budget[name] and spent[name] + spent.reserved + estimate > budget[name] then
      return name, budget[name], spent[name], spent.reserved
    end
  end
end
