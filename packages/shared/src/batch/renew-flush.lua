-- Renews the lease of a flush.
-- a: generation, id, version (the lease), lease_ms. Returns {ours}
-- include ../redis/guard.lua

if redis.call('GET', P .. 'flushing:' .. a.id) ~= string.format('%.0f', a.version) then return cjson.encode({ ours = false }) end
redis.call('PEXPIRE', P .. 'flushing:' .. a.id, a.lease_ms)
return cjson.encode({ ours = true })
