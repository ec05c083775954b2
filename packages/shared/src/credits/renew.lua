-- Renews the leases of calls in flight. A call that was reaped while its worker was cut off is taken back, as long as
-- its job has not gone on without it.
-- a: generation, calls (ids), lease_ms
-- Returns {lost = ids that are no longer this worker's: another run of the job has taken over,
-- or nothing}.
-- include ../redis/guard.lua
-- include settle.lua

local now = redis_now()
local lost, revived = {}, false
for _, id in ipairs(a.calls) do
  if redis.call('HEXISTS', P .. 'calls', id) == 1 then
    redis.call('ZADD', P .. 'slots', now + a.lease_ms, id)
  else
    local text = redis.call('HGET', P .. 'uncertain', id)
    local entry = text and cjson.decode(text)
    if entry and not entry.resolved and entry.how == 'lost_worker' and redis.call('HGET', P .. 'job:' .. entry.job, 'call') == id then
      redis.call('HDEL', P .. 'uncertain', id)
      redis.call('HINCRBY', P .. 'credits', 'uncertain', -entry.estimate)
      redis.call('HINCRBY', P .. 'credits', 'reserved', entry.estimate)
      entry.how, entry.at, entry.net = nil, nil, nil
      revived = true
      redis.call('HSET', P .. 'calls', id, cjson.encode(entry))
      redis.call('ZADD', P .. 'slots', now + a.lease_ms, id)
    else
      lost[#lost + 1] = id
    end
  end
end
if revived then turn(now) end
return cjson.encode({ lost = #lost > 0 and lost or nil })
