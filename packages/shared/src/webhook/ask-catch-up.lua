-- Has what ended since a time read again for a receiver; of a disabled endpoint it counts as missed.
-- a: generation, receiver, account, since (milliseconds since 1970). Returns {}
-- include ../redis/guard.lua
-- include receivers.lua

local hook = P .. 'hook:' .. a.receiver
if string.sub(a.receiver, 1, 4) == 'url_' then
  redis.call('HSETNX', hook, 'account', a.account)
elseif redis.call('HGET', hook, 'account') ~= a.account then
  return cjson.encode({})
end
local state = redis.call('HMGET', hook, 'state', 'missed_since')
if state[1] == 'disabled' then
  miss(a.receiver, a.since)
else
  if state[2] and tonumber(state[2]) >= a.since then redis.call('HDEL', hook, 'missed_since') end
  catch_up(a.receiver, a.since)
end
return cjson.encode({})
