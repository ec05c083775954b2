-- What calls of a class are expected to cost: the hash P..'estimates', learned from the last costs of each class (the
-- hash P..'costs', the newest first), for the classes used last (the sorted set P..'classes').
-- The next call is expected to cost what the last one did, or a high quantile of the last ones where that is more: with
-- costs that do not vary that is the cost itself, and what is dear is forgotten after as many others.
local REMEMBERED, HIGH, MOST_CLASSES = 64, 0.95, 1000
-- A cost far above what was set is more likely garbage: it is counted, but little is learned from it.
local MOST_TIMES = 20

local function learn(class, cost, guess, now)
  cost = math.min(cost, guess * MOST_TIMES)
  local costs = { cost }
  for text in string.gmatch(redis.call('HGET', P .. 'costs', class) or '', '%d+') do
    if #costs < REMEMBERED then costs[#costs + 1] = tonumber(text) end
  end
  local texts = {}
  for i, each in ipairs(costs) do texts[i] = string.format('%.0f', each) end
  redis.call('HSET', P .. 'costs', class, table.concat(texts, ' '))
  table.sort(costs)
  redis.call('HSET', P .. 'estimates', class, math.max(cost, costs[math.ceil(#costs * HIGH)]))
  redis.call('ZADD', P .. 'classes', now, class)
  if redis.call('ZCARD', P .. 'classes') > MOST_CLASSES then
    local oldest = redis.call('ZPOPMIN', P .. 'classes')[1]
    redis.call('HDEL', P .. 'costs', oldest)
    redis.call('HDEL', P .. 'estimates', oldest)
  end
end
