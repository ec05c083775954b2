-- Says how far a receiver has caught up, or that it has; the lease is renewed or ended. Where the lease ran out and another
-- took it up, nothing changes: that may be another round, of which the beginning would be passed over.
-- a: generation, receiver, until and turn (as it was taken up), cursor?, lease_ms?; without cursor it is done; without
--    lease_ms the lease ends
-- Returns {found = 'room' | 'full' (nothing more may be added for now) | 'lost' (it is another's)}
-- include ../redis/guard.lua
-- include receivers.lua

local round, lease = P .. 'catch-up:' .. a.receiver, P .. 'catching-up:' .. a.receiver
local known = redis.call('HMGET', round, 'until', 'turn')
if tonumber(known[1] or nil) ~= a['until'] or tonumber(known[2] or nil) ~= a.turn then return cjson.encode({ found = 'lost' }) end
if a.cursor then
  redis.call('HSET', round, 'cursor', a.cursor)
else
  redis.call('DEL', round)
  if redis.call('HEXISTS', P .. 'hook:' .. a.receiver, 'catch_up') == 0 then redis.call('SREM', P .. 'missed', a.receiver) end
  forget_idle(a.receiver)
end
if a.lease_ms then redis.call('SET', lease, 1, 'PX', a.lease_ms) else redis.call('DEL', lease) end
return cjson.encode({ found = redis.call('ZCARD', P .. 'dq:' .. a.receiver) < MOST_WAITING / 2 and 'room' or 'full' })
