-- Gives a worker a receiver that has something to catch up on, for a time, and where it is. What is missed from here on
-- is another matter, and another round.
-- a: generation, lease_ms
-- Returns {task = {receiver, account, from, until, turn, cursor?, events? = what an endpoint hears}} or nothing
-- include ../redis/guard.lua
-- include receivers.lua

local now = redis_now()
for _, receiver in ipairs(redis.call('SMEMBERS', P .. 'missed')) do
  local hook = redis.call('HMGET', P .. 'hook:' .. receiver, 'account', 'state', 'catch_up')
  local account, state, since = hook[1], hook[2], hook[3]
  local round = P .. 'catch-up:' .. receiver
  local is_endpoint = string.sub(receiver, 1, 4) == 'whk_'
  if not account then
    -- The endpoint was deleted.
    redis.call('SREM', P .. 'missed', receiver)
    redis.call('DEL', round)
  elseif (not is_endpoint or state == 'enabled') and redis.call('ZCARD', P .. 'dq:' .. receiver) < MOST_WAITING / 2
    and redis.call('SET', P .. 'catching-up:' .. receiver, 1, 'NX', 'PX', a.lease_ms) then
    if redis.call('EXISTS', round) == 0 and since then
      redis.call('HSET', round, 'from', since, 'until', string.format('%.0f', now))
      redis.call('HDEL', P .. 'hook:' .. receiver, 'catch_up')
    end
    local known = redis.call('HMGET', round, 'from', 'until', 'cursor')
    if known[1] then
      return cjson.encode({ task = {
        receiver = receiver, account = account, from = tonumber(known[1]), ['until'] = tonumber(known[2]),
        turn = redis.call('HINCRBY', round, 'turn', 1), cursor = known[3] or nil,
        events = is_endpoint and redis.call('HGET', P .. 'hooks:' .. account, receiver) or nil,
      } })
    end
    redis.call('SREM', P .. 'missed', receiver)
    redis.call('DEL', P .. 'catching-up:' .. receiver)
    forget_idle(receiver)
  end
end
return cjson.encode({})
