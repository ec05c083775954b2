-- What no ticket does: ends jobs whose time is over, and forgets ended ones after their retention.
-- a: generation, forget_before (milliseconds since 1970), most
-- Returns {expired = ids or nothing, forgotten = how many}
-- include ../redis/guard.lua
-- include ../credits/settle.lua
-- include finish.lua

local now = redis_now()
local expired = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', P .. 'expiring', '-inf', now, 'LIMIT', 0, a.most)) do
  local state = redis.call('HMGET', P .. 'job:' .. id, 'status', 'call')
  if (state[1] == 'queued' or state[1] == 'processing') and state[2] == '' then
    finish(id, 'expired', now, { 'output', '[]', 'error', a.expired_error })
    expired[#expired + 1] = id
  elseif state[1] ~= 'queued' and state[1] ~= 'processing' then
    redis.call('ZREM', P .. 'expiring', id)
  end
end
local old = redis.call('ZRANGEBYSCORE', P .. 'ended', '-inf', a.forget_before, 'LIMIT', 0, a.most)
for _, id in ipairs(old) do
  local state = redis.call('HMGET', P .. 'job:' .. id, 'status', 'account')
  if state[1] then
    redis.call('ZREM', P .. 'jobs:' .. state[2], id)
    redis.call('ZREM', P .. 'jobs:' .. state[2] .. ':' .. state[1], id)
    redis.call('DEL', P .. 'job:' .. id)
  end
  redis.call('ZREM', P .. 'ended', id)
end
-- What an uncertain call has cost is known, and its job is forgotten: nobody asks for it any more.
local calls = redis.call('HGETALL', P .. 'uncertain')
for i = 1, #calls, 2 do
  local entry = cjson.decode(calls[i + 1])
  local batch = row_of(entry.job)
  if entry.resolved and redis.call('EXISTS', P .. (batch and 'batch:' .. batch or 'job:' .. entry.job)) == 0 then
    -- Nobody came to be charged for it.
    if not entry.charged then
      release_of_budgets(entry)
      book(entry.account, batch, entry.estimate, 0, now)
    end
    redis.call('HDEL', P .. 'uncertain', calls[i])
  end
end
return cjson.encode({ expired = #expired > 0 and expired or nil, forgotten = #old })
