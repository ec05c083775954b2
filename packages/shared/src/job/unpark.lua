-- Lets parked jobs of models and keys that are no longer held, or are due for a trial, wait for tickets again. A lot is
-- the name of the model, or `key:` and the account.
-- a: generation. Returns {moved}
-- include ../redis/guard.lua
-- include ../credits/holds.lua

local now, moved = redis_now(), 0
for _, lot in ipairs(redis.call('SMEMBERS', P .. 'parked')) do
  local passing, hold = passes(string.sub(lot, 1, 4) == 'key:' and lot or 'model:' .. lot, now)
  if passing then
    -- For a trial one job is enough.
    local ids = redis.call('ZRANGE', P .. 'parked:' .. lot, 0, hold and 0 or 499)
    for _, id in ipairs(ids) do
      redis.call('ZREM', P .. 'parked:' .. lot, id)
      redis.call('ZADD', P .. 'waiting', 0, id)
    end
    moved = moved + #ids
    if redis.call('ZCARD', P .. 'parked:' .. lot) == 0 then redis.call('SREM', P .. 'parked', lot) end
  end
end
return cjson.encode({ moved = moved })
