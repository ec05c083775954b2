-- Calls of the last minute, for those who watch; what paces them is in admit.lua, and forgets them sooner.
--   rate  hash: second of the minute -> 'second since 1970|calls that began in it'
-- Needs guard.lua.
local MINUTE = 60

local function count_call(now)
  local second = math.floor(now / 1000)
  local of, calls = string.match(redis.call('HGET', P .. 'rate', second % MINUTE) or '', '^(%d+)|(%d+)$')
  calls = tonumber(of) == second and calls + 1 or 1
  redis.call('HSET', P .. 'rate', second % MINUTE, string.format('%.0f|%.0f', second, calls))
end

local function calls_of_minute(now)
  local second, count = math.floor(now / 1000), 0
  for _, text in ipairs(redis.call('HVALS', P .. 'rate')) do
    local of, calls = string.match(text, '^(%d+)|(%d+)$')
    if tonumber(of) > second - MINUTE then count = count + calls end
  end
  return count
end
