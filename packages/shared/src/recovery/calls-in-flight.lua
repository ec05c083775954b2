-- How many calls workers have in flight, as they tell themselves. One that has not told for `silent_ms` is dead.
-- a: silent_ms
-- Returns {workers, calls}
-- include ../redis/guard.lua

local now, workers, calls = redis_now(), 0, 0
for _, text in ipairs(redis.call('HVALS', P .. 'rebuild:workers')) do
  local at, count = string.match(text, '^(%d+) (%d+)$')
  if at and now - tonumber(at) <= a.silent_ms then
    workers, calls = workers + 1, calls + tonumber(count)
  end
end
return cjson.encode({ workers = workers, calls = calls })
