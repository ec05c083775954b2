-- Finds the key of a token, and counts a request against its limit: the GCRA, by which as many requests as the limit may come
-- at once, and those after them evenly over the minute.
-- a: generation, name (of the token), sha256 (of the token; of another one nothing is counted)
-- Returns {entry? = as put-keys.lua keeps it, expired? = true, rate? = {limit, left, retry_ms?, reset_ms}}
-- include ../redis/guard.lua

local MINUTE, NOTE_MS = 60000, 60000

local text = redis.call('HGET', P .. 'access', a.name)
if not text then return cjson.encode({ none = true }) end
local entry = cjson.decode(text)
if redis.call('SISMEMBER', P .. 'access:revoked', entry.id) == 1 then return cjson.encode({ none = true }) end
if entry.sha256 ~= a.sha256 then return cjson.encode({ entry = entry }) end
local now = redis_now()
if entry.expires_at and entry.expires_at <= now then return cjson.encode({ entry = entry, expired = true }) end
if now - tonumber(redis.call('HGET', P .. 'access:used', entry.id) or 0) >= NOTE_MS then
  redis.call('HSET', P .. 'access:used', entry.id, now)
end
local limit = entry.requests_per_minute
if not limit then return cjson.encode({ entry = entry }) end

-- Until when the requests so far have used the limit up. Most limits divide a minute into parts that no number holds exactly:
-- what that is off by takes no request away.
local key, every = P .. 'access:rate:' .. a.name, MINUTE / limit
local used_until = math.max(tonumber(redis.call('GET', key) or 0), now)
if used_until + every - now > MINUTE + math.min(1, every / 2) then
  local retry = math.ceil(used_until + every - MINUTE - now)
  return cjson.encode({ entry = entry, rate = { limit = limit, left = 0, retry_ms = retry, reset_ms = math.ceil(used_until - now) } })
end
used_until = used_until + every
redis.call('SET', key, string.format('%.3f', used_until), 'PX', math.ceil(used_until - now))
return cjson.encode({ entry = entry, rate = { limit = limit, left = math.floor((MINUTE - (used_until - now)) / every + 0.001), reset_ms = math.ceil(used_until - now) } })
