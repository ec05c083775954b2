-- Sends deliveries again, from the first attempt on: ended ones, and those that wait, at once.
-- a: generation, account, ids. Returns {replayed = ids or nothing}: others are unknown, on their way, or their endpoint is disabled or deleted.
-- include ../redis/guard.lua
-- include receivers.lua

local now = redis_now()
local replayed = {}
for _, id in ipairs(a.ids) do
  local was = redis.call('HMGET', P .. 'dlv:' .. id, 'account', 'receiver', 'lease', 'batch_id', 'at')
  local receiver = was[2]
  if was[1] == a.account and not was[3] then
    local state = redis.call('HGET', P .. 'hook:' .. receiver, 'state')
    local is_endpoint = string.sub(receiver, 1, 4) == 'whk_'
    local has_place = redis.call('ZCARD', P .. 'dq:' .. receiver) < MOST_WAITING
    if (not is_endpoint or state == 'enabled') and has_place then
      -- Somebody believes that it is there again.
      if was[4] and not is_endpoint then redis.call('HDEL', P .. 'batch:' .. was[4], 'webhook_gone') end
      set_status(id, a.account, 'pending')
      redis.call('HSET', P .. 'dlv:' .. id, 'tries', 0)
      owe(receiver, was[5])
      wait_until(id, receiver, now)
      line_up(receiver, now)
      replayed[#replayed + 1] = id
    end
  end
end
return cjson.encode({ replayed = #replayed > 0 and replayed or nil })
