-- Puts a decision about an account's endpoints into force, unless a later one is.
-- a: generation, account, seq, at, endpoints = [{id, url, events (eventsField), state, reason?, disabled_at?, secrets (JSON)}] or nothing
-- Returns {applied, deleted = endpoints whose deliveries are to be ended, or nothing}
-- include ../redis/guard.lua
-- include receivers.lua

local account = P .. 'endpoints:' .. a.account
if tonumber(redis.call('HGET', account, 'seq') or 0) >= a.seq then return cjson.encode({ applied = false }) end
redis.call('HSET', account, 'seq', a.seq)
local hooks = P .. 'hooks:' .. a.account
redis.call('DEL', hooks)
local now, listed = redis_now(), {}
for _, each in ipairs(a.endpoints or {}) do
  listed[each.id] = true
  local hook = P .. 'hook:' .. each.id
  local was = redis.call('HMGET', hook, 'state', 'undecided', 'disabled_at')
  redis.call('HSET', hook, 'account', a.account, 'url', each.url, 'secrets', each.secrets)
  -- One that disabled itself after this was decided stays disabled.
  if not (was[2] and tonumber(was[3]) >= a.at and each.state == 'enabled') then
    redis.call('HSET', hook, 'state', each.state)
    redis.call('HDEL', hook, 'reason', 'disabled_at', 'undecided')
    redis.call('SREM', P .. 'undecided-hooks', each.id)
    if each.state == 'disabled' then
      redis.call('HSET', hook, 'reason', each.reason, 'disabled_at', string.format('%.0f', each.disabled_at))
      if was[1] == 'enabled' then
        miss(each.id, now)
      elseif not was[1] then
        -- An emptied Redis does not know what it has missed.
        miss(each.id, each.disabled_at)
      end
    elseif was[1] == 'disabled' then
      redis.call('HDEL', hook, 'failing', 'failing_since')
    end
    if each.state == 'enabled' then redis.call('HSET', hooks, each.id, each.events) end
    line_up(each.id, now)
  end
  redis.call('SADD', P .. 'whks:' .. a.account, each.id)
end
redis.call(redis.call('EXISTS', hooks) == 1 and 'SADD' or 'SREM', P .. 'hooked', a.account)
local deleted = {}
for _, id in ipairs(redis.call('SMEMBERS', P .. 'whks:' .. a.account)) do
  if not listed[id] then
    deleted[#deleted + 1] = id
    redis.call('SREM', P .. 'whks:' .. a.account, id)
    redis.call('SREM', P .. 'undecided-hooks', id)
    redis.call('SREM', P .. 'missed', id)
    redis.call('DEL', P .. 'hook:' .. id, P .. 'catch-up:' .. id)
    -- Whoever applies this may die before it has ended what waits. Then take-deliveries.lua comes upon it.
    line_up(id, now)
  end
end
return cjson.encode({ applied = true, deleted = #deleted > 0 and deleted or nil })
