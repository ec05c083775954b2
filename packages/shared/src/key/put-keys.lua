-- Puts API keys into force, or out of it. One that was revoked comes back by nothing.
--   access          hash: name of a token -> JSON {id, sha256, account, scopes, requests_per_minute?, expires_at?}
--   access:revoked  set of ids
--   access:used     hash: id -> when it was used last, milliseconds since 1970
--   access:rate:<name of a token>  see use-key.lua
-- a: generation, keys? = a list of {name, id, entry (JSON, as a text)}, revoked? = a list of {name, id}
-- include ../redis/guard.lua

for _, key in ipairs(a.revoked or {}) do
  redis.call('SADD', P .. 'access:revoked', key.id)
  redis.call('HDEL', P .. 'access', key.name)
end
for _, key in ipairs(a.keys or {}) do
  if redis.call('SISMEMBER', P .. 'access:revoked', key.id) == 0 then redis.call('HSET', P .. 'access', key.name, key.entry) end
end
return cjson.encode({ done = true })
