-- A worker starts, against this upstream. What was believed of the balance is doubted until it is read again: the
-- account may have been used, or be another one. Where the upstream is another, what was learned and booked of the old
-- one goes, and work that waited for it is held until somebody says that the new one shall do it. Its uncertain calls stay
-- for people to see: they have been charged as far as they ever will be, and no balance of the new one tells of them.
-- a: generation, upstream (a name for it, for people), settings {floor, low, resume} (nanocredits)
-- Returns {was = the old one's name or nothing, waiting = jobs that are held for it}
-- include ../redis/guard.lua
-- include settle.lua
-- include holds.lua

local now = redis_now()
local was = redis.call('HGET', P .. 'credits', 'upstream')
redis.call('HSET', P .. 'credits', 'upstream', a.upstream, 'doubt', now)
tell_settings(a.settings, true)
turn(now)
if not was or was == a.upstream then return cjson.encode({ waiting = 0 }) end

redis.call('HDEL', P .. 'credits', 'balance', 'read_at', 'probed_seq', 'probed_at', 'spent', 'streak', 'header_only',
  'header', 'header_differences', 'exact_balance', 'exact_spent', 'exact_at', 'net', 'unexplained', 'added', 'reconciled', 'drain', 'drain_at',
  'low_told')
-- What the old one answers from now on is no longer quiet.
redis.call('HINCRBY', P .. 'credits', 'seq', 1)
redis.call('HSET', P .. 'credits', 'uncertain', 0)
local uncertain = redis.call('HGETALL', P .. 'uncertain')
for i = 1, #uncertain, 2 do
  local entry = cjson.decode(uncertain[i + 1])
  release_of_budgets(entry)
  entry.net, entry.net_then, entry.charged = nil, nil, true
  if (entry.upstream or was) == a.upstream and entry.resolve_after > now then
    -- We are back at the one that may bill it yet.
    entry.upstream, entry.resolved, entry.compared = nil, false, nil
    redis.call('HINCRBY', P .. 'credits', 'uncertain', entry.estimate)
  else
    entry.upstream, entry.resolved, entry.compared = entry.upstream or was, true, 'unseen'
  end
  redis.call('HSET', P .. 'uncertain', uncertain[i], cjson.encode(entry))
end
redis.call('DEL', P .. 'estimates', P .. 'costs', P .. 'dear', P .. 'classes', P .. 'ratios', P .. 'first', P .. 'refusals', P .. 'successes', P .. 'differences')
for _, hour in ipairs(redis.call('ZRANGE', P .. 'hours', 0, -1)) do redis.call('DEL', P .. 'books:' .. hour) end
redis.call('DEL', P .. 'hours', P .. 'unnoted-days')
-- The store is told that nothing was spent at this one yet.
unnoted(day_of(now))
for _, account in ipairs(redis.call('SMEMBERS', P .. 'keys')) do
  redis.call('HDEL', P .. 'key:' .. account, 'total', 'day', 'day_spent')
  redis.call('HDEL', P .. 'holds', 'key:' .. account)
end
redis.call('HDEL', P .. 'holds', 'unauthorized', 'upstream', 'rate')
release_credits('upstream_changed', now)
turn(now, 'upstream_changed')
local waiting = redis.call('ZCARD', P .. 'waiting') + redis.call('ZCARD', P .. 'fed')
for _, account in ipairs(redis.call('ZRANGE', P .. 'feeding', 0, -1)) do
  for _, batch in ipairs(redis.call('ZRANGE', P .. 'feeding:' .. account, 0, -1)) do
    local state = redis.call('HMGET', P .. 'batch:' .. batch, 'total', 'succeeded', 'failed')
    waiting = waiting + state[1] - state[2] - state[3]
  end
end
for _, model in ipairs(redis.call('SMEMBERS', P .. 'parked')) do waiting = waiting + redis.call('ZCARD', P .. 'parked:' .. model) end
if waiting > 0 then
  set_hold('operator', { detail = string.format(
    '%d jobs were submitted while the upstream was %s; now it is %s. Resume to have them rendered there, or resume with the backlog dropped.',
    waiting, was, a.upstream) }, now)
end
return cjson.encode({ was = was, waiting = waiting })
