-- Renews or ends a run, if it is still its owner's.
-- KEYS[1]: the prefix of all keys. ARGV[1]: JSON, read as a:
--   key, owner, and one of
--   lease_ms   the run goes on
--   content    fingerprint of a body that is known only once it was read: the first one told holds
--   answer     JSON text, or the same sealed: the answer is kept until the record's end
--   forget     true: the request was refused and changed nothing; the key is free
--   release    true: the run broke off; the next one continues it under the same resource id
-- Returns {ours = whether the run was this owner's, content = the one that holds}
local a = cjson.decode(ARGV[1])
local key = KEYS[1] .. 'idempotency:' .. a.key
if redis.call('HGET', key, 'owner') ~= a.owner then return cjson.encode({ ours = false }) end
if a.lease_ms then
  local time = redis.call('TIME')
  redis.call('HSET', key, 'lease', time[1] * 1000 + math.floor(time[2] / 1000) + a.lease_ms)
elseif a.content then
  redis.call('HSETNX', key, 'content', a.content)
  return cjson.encode({ ours = true, content = redis.call('HGET', key, 'content') })
elseif a.answer then
  redis.call('HSET', key, 'answer', a.answer)
elseif a.forget then
  redis.call('DEL', key)
else
  redis.call('HSET', key, 'lease', 0)
end
return cjson.encode({ ours = true })
