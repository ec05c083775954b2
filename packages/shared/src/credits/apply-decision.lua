-- Puts a decision by hand into force, unless a later one is; see CreditDecision.
-- a: generation, seq, limits {name = {value, over}}, budgets {account = {day?, total?}}, hold? {since, detail}
-- include ../redis/guard.lua
-- include holds.lua

local now = redis_now()
if tonumber(redis.call('HGET', P .. 'policy', 'decision') or 0) >= a.seq then return cjson.encode({}) end
redis.call('HSET', P .. 'policy', 'decision', a.seq)
for _, name in ipairs({ 'floor', 'low', 'resume' }) do
  local set = a.limits[name]
  local told = redis.call('HGET', P .. 'policy', 'told:' .. name)
  if set and (not told or tonumber(told) == set.over) then
    redis.call('HSET', P .. 'policy', name, set.value, 'over:' .. name, set.over)
  else
    redis.call('HDEL', P .. 'policy', name, 'over:' .. name)
  end
end
redis.call('DEL', P .. 'budgets')
for account, budget in pairs(a.budgets) do redis.call('HSET', P .. 'budgets', account, cjson.encode(budget)) end
-- Whoever is over a budget still is held again with the next image.
for _, name in ipairs(redis.call('HKEYS', P .. 'holds')) do
  if string.sub(name, 1, 4) == 'key:' then redis.call('HDEL', P .. 'holds', name) end
end

local held = redis.call('HGET', P .. 'holds', 'operator')
if a.hold then
  redis.call('HSET', P .. 'holds', 'operator', cjson.encode({ since = a.hold.since, detail = a.hold.detail, decided = true }))
elseif held and cjson.decode(held).decided then
  -- One that was not decided by hand, as for another upstream, ends by resume.lua only.
  redis.call('HDEL', P .. 'holds', 'operator')
end
if redis.call('HEXISTS', P .. 'holds', 'credits') == 1 then redis.call('HSET', P .. 'credits', 'ask', 1) end
turn(now)
return cjson.encode({})
