-- Says how far a receiver has caught up, or that it has; the lease is renewed or ended.
-- a: generation, receiver, cursor?, lease_ms; without cursor it is done; without lease_ms the lease ends
-- Returns {room = whether more may be added now}
-- include ../redis/guard.lua
-- include receivers.lua

local round, lease = P .. 'catch-up:' .. a.receiver, P .. 'catching-up:' .. a.receiver
if a.cursor then
  if redis.call('EXISTS', round) == 1 then redis.call('HSET', round, 'cursor', a.cursor) end
else
  redis.call('DEL', round)
  if redis.call('HEXISTS', P .. 'hook:' .. a.receiver, 'catch_up') == 0 then redis.call('SREM', P .. 'missed', a.receiver) end
end
if a.lease_ms then redis.call('SET', lease, 1, 'PX', a.lease_ms) else redis.call('DEL', lease) end
return cjson.encode({ room = redis.call('ZCARD', P .. 'dq:' .. a.receiver) < MOST_WAITING / 2 })
