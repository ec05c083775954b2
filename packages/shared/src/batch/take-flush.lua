-- Takes a batch whose results are due to be written.
-- a: generation, lease_ms
-- Returns {flush = {batch, version, status, ending, parts = [[part, version or 0], …]} or nothing}
-- include ../redis/guard.lua
-- include rows.lua

local now = redis_now()
for _, id in ipairs(redis.call('ZRANGEBYSCORE', P .. 'dirty', '-inf', now, 'LIMIT', 0, 20)) do
  local batch = P .. 'batch:' .. id
  local state = redis.call('HMGET', batch, 'status', 'processing', 'version')
  if not state[1] or state[1] == 'completed' or state[1] == 'canceled' then
    redis.call('ZREM', P .. 'dirty', id)
  else
    local version = math.max(now, tonumber(state[3] or 0) + 1)
    local lease = string.format('%.0f', version)
    if redis.call('SET', P .. 'flushing:' .. id, lease, 'NX', 'PX', a.lease_ms) then
      redis.call('HSET', batch, 'version', lease)
      -- Also of one that was opened before this list was kept.
      redis.call('SADD', P .. 'open', id)
      local parts = {}
      for _, part in ipairs(redis.call('SMEMBERS', P .. 'dirty:' .. id)) do
        parts[#parts + 1] = { tonumber(part), tonumber(redis.call('HGET', P .. 'versions:' .. id, part) or nil) or 0 }
      end
      local ending = state[1] == 'finishing' or state[1] == 'canceling' and tonumber(state[2]) <= 0
      return cjson.encode({ flush = {
        batch = id, version = version, status = state[1], ending = ending, parts = #parts > 0 and parts or nil,
      } })
    end
  end
end
return cjson.encode({})
