-- Lets the parked jobs of models that are no longer held, or are due for a trial, wait for tickets again.
-- a: generation. Returns {moved}
-- include ../redis/guard.lua
-- include ../credits/holds.lua

local now, moved = redis_now(), 0
for _, model in ipairs(redis.call('SMEMBERS', P .. 'parked')) do
  local passing, hold = passes('model:' .. model, now)
  if passing then
    -- For a trial one job is enough.
    local ids = redis.call('ZRANGE', P .. 'parked:' .. model, 0, hold and 0 or 499)
    for _, id in ipairs(ids) do
      redis.call('ZREM', P .. 'parked:' .. model, id)
      redis.call('ZADD', P .. 'waiting', 0, id)
    end
    moved = moved + #ids
    if redis.call('ZCARD', P .. 'parked:' .. model) == 0 then redis.call('SREM', P .. 'parked', model) end
  end
end
return cjson.encode({ moved = moved })
