-- Begins every script. KEYS[1]: the prefix of all keys, with its hash tag. ARGV[1]: the arguments, as JSON.
-- Gives P (the prefix) and a (the arguments) to what follows, and refuses when this Redis is not the one that the
-- caller knows: it was emptied or replaced, and counts nothing that was spent.
local P = KEYS[1]
local a = cjson.decode(ARGV[1])
-- Who rebuilds an emptied Redis goes by the mark that it is going to get, as long as it holds the lock under that mark.
if a.generation and redis.call('GET', P .. 'generation') ~= a.generation
  and redis.call('GET', P .. 'rebuild:lock') ~= a.generation then
  return redis.error_reply('GENERATION is missing or another')
end

-- Milliseconds since 1970 by Redis's own clock: the only clock that all workers share.
local function redis_now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function hash(key)
  local flat = redis.call('HGETALL', key)
  if #flat == 0 then return nil end
  local map = {}
  for i = 1, #flat, 2 do map[flat[i]] = flat[i + 1] end
  return map
end
