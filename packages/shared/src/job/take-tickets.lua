-- Takes jobs from those that wait, oldest first, up to the window of tickets that may stand in the queue. Jobs of a
-- model that is held are parked, so that they keep no place from others.
-- a: generation, window, most (how many at once)
-- Returns {tickets = [[job, generation of its ticket], …] or nothing}
-- include ../redis/guard.lua
-- include ../credits/holds.lua

local now = redis_now()
local room = math.min(a.window - redis.call('ZCARD', P .. 'fed'), a.most)
local tickets, looked = {}, 0
while #tickets < room and looked < 1000 do
  local id = redis.call('ZPOPMIN', P .. 'waiting')[1]
  if not id then break end
  looked = looked + 1
  local job = P .. 'job:' .. id
  local state = redis.call('HMGET', job, 'status', 'model')
  if state[1] == 'queued' then
    if passes('model:' .. state[2], now) then
      redis.call('ZADD', P .. 'fed', now, id)
      tickets[#tickets + 1] = { id, redis.call('HINCRBY', job, 'ticket', 1) }
    else
      redis.call('ZADD', P .. 'parked:' .. state[2], 0, id)
      redis.call('SADD', P .. 'parked', state[2])
    end
  elseif state[1] == 'processing' then
    -- An older ticket was quicker to make a call. It goes on with that one; from here on the job is looked after.
    redis.call('ZADD', P .. 'fed', 'NX', now, id)
  end
end
return cjson.encode({ tickets = #tickets > 0 and tickets or nil })
