-- include fields.lua
-- Compares our books with the balance, whenever it is exact: read with nothing in flight. What it fell by and we have
-- not spent was spent by calls whose outcome is unknown, or by others; what it rose by was added. In P..'credits':
--   exact_balance, exact_spent, exact_at  the last exact reading, and `spent` then
--   net          sum of all differences, what was added counting as negative; unexplained, added: its two parts
--   reconciled   the last comparison, as JSON; the list P..'differences' has those with a difference, the newest first
local MOST_DIFFERENCES = 100

-- Returns whether there was one to compare with.
local function reconcile(read, now)
  local last = redis.call('HMGET', P .. 'credits', 'exact_balance', 'exact_spent', 'exact_at', 'spent')
  local spent = tonumber(last[4] or 0)
  redis.call('HSET', P .. 'credits', 'exact_balance', read, 'exact_spent', spent, 'exact_at', now)
  if not last[1] then return false end
  local spent_since = spent - last[2]
  local difference = last[1] - spent_since - read
  -- Not by cjson, which keeps 14 digits.
  local comparison = string.format('{"from":%s,"at":%.0f,"before":%s,"spent":%.0f,"read":%.0f,"difference":%.0f}',
    last[3], now, last[1], spent_since, read, difference)
  redis.call('HSET', P .. 'credits', 'reconciled', comparison)
  if difference == 0 then return true end
  redis.call('HINCRBY', P .. 'credits', 'net', difference)
  redis.call('HINCRBY', P .. 'credits', difference > 0 and 'unexplained' or 'added', math.abs(difference))
  redis.call('LPUSH', P .. 'differences', comparison)
  redis.call('LTRIM', P .. 'differences', 0, MOST_DIFFERENCES - 1)
  return true
end

-- It is told what a call has cost that the last exact reading already holds.
--   missed  whether it was found missing
local function explained(cost, missed)
  redis.call('HINCRBY', P .. 'credits', 'exact_spent', cost)
  if not missed then return end
  redis.call('HINCRBY', P .. 'credits', 'net', 0 - cost)
  redis.call('HINCRBY', P .. 'credits', 'unexplained', 0 - cost)
end
