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
local budgets_before = hash(P .. 'budgets') or {}
redis.call('DEL', P .. 'budgets')
for account, budget in pairs(a.budgets) do redis.call('HSET', P .. 'budgets', account, cjson.encode(budget)) end
-- A key whose budget is another is held again with the next image, if it is over that too.
for _, name in ipairs(redis.call('HKEYS', P .. 'holds')) do
  local account = string.match(name, '^key:(.*)$')
  if account then
    local before, budget = cjson.decode(budgets_before[account] or '{}'), a.budgets[account] or {}
    if before.day ~= budget.day or before.total ~= budget.total then redis.call('HDEL', P .. 'holds', name) end
  end
end

local held = redis.call('HGET', P .. 'holds', 'operator')
if a.hold then
  redis.call('HSET', P .. 'holds', 'operator', cjson.encode({ since = a.hold.since, detail = a.hold.detail, decided = true }))
elseif held and cjson.decode(held).decided then
  -- One that was not decided by hand, as for another upstream, ends by resume.lua only.
  redis.call('HDEL', P .. 'holds', 'operator')
end
redis.call('HSET', P .. 'credits', 'ask', 1)
turn(now)
return cjson.encode({})
