-- Has what ended since a time read again for a receiver.
-- a: generation, receiver, account, since (milliseconds since 1970). Returns {}
-- include ../redis/guard.lua
-- include receivers.lua

local hook = P .. 'hook:' .. a.receiver
if string.sub(a.receiver, 1, 4) == 'url_' then
  redis.call('HSETNX', hook, 'account', a.account)
elseif redis.call('HGET', hook, 'account') ~= a.account then
  return cjson.encode({})
end
redis.call('HDEL', hook, 'missed_since')
catch_up(a.receiver, a.since)
return cjson.encode({})
