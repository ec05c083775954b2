-- Keeps the lock of an upgrade and its hold, or lets go of both.
-- a: token, ms? (how long they are kept; missing: they are let go), detail? (of the hold)
-- Returns {ours}
-- include ../redis/guard.lua
-- include hold-upgrade.lua

if redis.call('GET', P .. 'rebuild:lock') ~= a.token then return cjson.encode({ ours = false }) end
if a.ms then
  redis.call('PEXPIRE', P .. 'rebuild:lock', a.ms)
  if a.detail then hold_upgrade(a.detail, a.ms) end
else
  redis.call('DEL', P .. 'rebuild:lock')
  redis.call('HDEL', P .. 'holds', 'upgrade')
end
return cjson.encode({ ours = true })
