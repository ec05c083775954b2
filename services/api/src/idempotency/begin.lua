-- Begins a request with an Idempotency-Key, or says what became of the first one.
-- KEYS[1]: the prefix of all keys. ARGV[1]: JSON, read as a:
--   key, fingerprint, resource (id for what the request makes), owner, lease_ms, keep_ms
-- Returns {status = 'begun' | 'continued', resource}   ours to run; continued: an earlier run broke off
--       | {status = 'answered', answer, content}       the first answer as it was kept; see end.lua for content
--       | {status = 'running', ms}                     an earlier run holds its lease for ms more
--       | {status = 'reused'}                          the key belongs to another request
local a = cjson.decode(ARGV[1])
local key = KEYS[1] .. 'idempotency:' .. a.key
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local record = redis.call('HMGET', key, 'fingerprint', 'resource', 'lease', 'answer', 'content')
if not record[1] then
  redis.call('HSET', key, 'fingerprint', a.fingerprint, 'resource', a.resource, 'owner', a.owner, 'lease', now + a.lease_ms)
  redis.call('PEXPIRE', key, a.keep_ms)
  return cjson.encode({ status = 'begun', resource = a.resource })
end
if record[1] ~= a.fingerprint then return cjson.encode({ status = 'reused' }) end
if record[4] then return cjson.encode({ status = 'answered', answer = record[4], content = record[5] or nil }) end
local left = tonumber(record[3]) - now
if left > 0 then return cjson.encode({ status = 'running', ms = left }) end
redis.call('HSET', key, 'owner', a.owner, 'lease', now + a.lease_ms)
return cjson.encode({ status = 'continued', resource = record[2] })
