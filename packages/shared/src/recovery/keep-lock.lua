-- Keeps the lock of a rebuild, or lets go of it.
-- a: token, ms? (how long it is kept; missing: it is let go)
-- Returns {ours}
-- include ../redis/guard.lua

if redis.call('GET', P .. 'rebuild:lock') ~= a.token then return cjson.encode({ ours = false }) end
if a.ms then redis.call('PEXPIRE', P .. 'rebuild:lock', a.ms) else redis.call('DEL', P .. 'rebuild:lock') end
return cjson.encode({ ours = true })
