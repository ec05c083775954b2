-- What calls of a class are expected to cost: the hash P..'estimates', learned from the last costs of each class (the
-- hash P..'costs', the newest first), for the classes used last (the sorted set P..'classes').
-- The next call is expected to cost what the last one did, or a high quantile of the last ones where that is more: with
-- costs that do not vary that is the cost itself, and what is dear is forgotten after as many others.
local REMEMBERED, HIGH, MOST_CLASSES = 64, 0.95, 1000
-- A cost far above what was set is more likely garbage: it is counted, but little is learned from it, unless the next one
-- is as high (the hash P..'dear' has the last one).
local MOST_TIMES = 20

-- What calls of a model cost beside what was guessed at first, in millionths: the hash P..'ratios'. It stands in for classes
-- that were not seen yet, and falls by a fiftieth with each call that was cheaper.
local UNIT = 1000000
local function learn_ratio(model, cost, guess)
  local known = tonumber(redis.call('HGET', P .. 'ratios', model) or '0')
  local ratio = math.min(math.floor(cost / guess * UNIT), MOST_TIMES * UNIT)
  redis.call('HSET', P .. 'ratios', model, math.max(ratio, math.floor(known * 0.98)))
end

-- Returns the estimate, and whether it rests on anything that was billed.
local function expected_cost(class, model, guess)
  local learned = redis.call('HGET', P .. 'estimates', class)
  if learned then return math.max(tonumber(learned), 1), true end
  local ratio = tonumber(redis.call('HGET', P .. 'ratios', model) or nil)
  return math.max(math.ceil(guess * math.max(ratio or 0, UNIT) / UNIT), 1), ratio ~= nil
end

local function learn(class, cost, guess, now)
  local most, dear = guess * MOST_TIMES, tonumber(redis.call('HGET', P .. 'dear', class) or '0')
  if cost > most then
    redis.call('HSET', P .. 'dear', class, cost)
    cost = math.max(most, math.min(cost, dear))
  elseif dear > 0 then
    redis.call('HDEL', P .. 'dear', class)
  end
  -- Runs of the same cost, the newest first, as `cost*how often`: most classes have one.
  local runs, known = { { cost, 1 } }, 1
  for value, count in string.gmatch(redis.call('HGET', P .. 'costs', class) or '', '(%d+)%*(%d+)') do
    value, count = tonumber(value), math.min(tonumber(count), REMEMBERED - known)
    if count > 0 then
      if runs[#runs][1] == value then runs[#runs][2] = runs[#runs][2] + count else runs[#runs + 1] = { value, count } end
      known = known + count
    end
  end
  local texts = {}
  for i, run in ipairs(runs) do texts[i] = string.format('%.0f*%d', run[1], run[2]) end
  redis.call('HSET', P .. 'costs', class, table.concat(texts, ' '))

  table.sort(runs, function(one, other) return one[1] < other[1] end)
  local rank, i = math.ceil(known * HIGH) - runs[1][2], 1
  while rank > 0 do
    i = i + 1
    rank = rank - runs[i][2]
  end
  redis.call('HSET', P .. 'estimates', class, math.max(cost, runs[i][1]))
  redis.call('ZADD', P .. 'classes', now, class)
  if redis.call('ZCARD', P .. 'classes') > MOST_CLASSES then
    local oldest = redis.call('ZPOPMIN', P .. 'classes')[1]
    redis.call('HDEL', P .. 'costs', oldest)
    redis.call('HDEL', P .. 'dear', oldest)
    redis.call('HDEL', P .. 'estimates', oldest)
  end
end
