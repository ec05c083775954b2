-- Somebody wants work to go on: a hold of all work ends that nobody decided, what is tried at times is tried now, and what waits for a better
-- balance or an accepted key is asked for now. A hold for credits then ends as soon as one more image is possible.
-- a: generation
-- include ../redis/guard.lua
-- include holds.lua

local now = redis_now()
local operator = redis.call('HGET', P .. 'holds', 'operator')
-- One that was decided by hand ends with a decision; what stands now came after that.
if operator and not cjson.decode(operator).decided then redis.call('HDEL', P .. 'holds', 'operator') end
for name, text in pairs(hash(P .. 'holds') or {}) do
  local hold = cjson.decode(text)
  if hold.trial_at then
    hold.trial_at = now
    redis.call('HSET', P .. 'holds', name, cjson.encode(hold))
  elseif name == 'credits' or name == 'unauthorized' then
    hold.by_hand = true
    redis.call('HSET', P .. 'holds', name, cjson.encode(hold))
  end
end
redis.call('HSET', P .. 'credits', 'ask', 1)
return cjson.encode({})
