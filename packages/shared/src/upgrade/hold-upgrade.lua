-- Holds all work for as long as the lock lasts. Older versions know this hold by its form alone: any name without a `:`
-- holds all, and `until` ends it.
local function hold_upgrade(detail, ms)
  local now = redis_now()
  local standing = redis.call('HGET', P .. 'holds', 'upgrade')
  redis.call('HSET', P .. 'holds', 'upgrade', cjson.encode({
    since = standing and cjson.decode(standing).since or now, detail = detail, ['until'] = now + ms,
  }))
end
