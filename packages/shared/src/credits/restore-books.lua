-- Puts the books of a day, as the store has them, back into a Redis that knows less: of each entry the higher counts.
-- a: generation, upstream?, hours {hour = {entry = amount}}, keys {account = total}
-- include ../redis/guard.lua
-- include fields.lua
-- include books.lua

local now = redis_now()
local upstream = redis.call('HGET', P .. 'credits', 'upstream')
-- What another upstream has cost is none of this one's.
if upstream and a.upstream and upstream ~= a.upstream then return cjson.encode({}) end
if a.upstream then redis.call('HSETNX', P .. 'credits', 'upstream', a.upstream) end
local today = {}
for hour, entries in pairs(a.hours) do
  if tonumber(hour) > now / HOUR_MS - KEPT_HOURS then
    local key = P .. 'books:' .. hour
    for entry, amount in pairs(entries) do
      local known = tonumber(redis.call('HGET', key, entry) or nil)
      if not known or tonumber(amount) > known then redis.call('HSET', key, entry, amount) end
      local account, what = string.match(entry, '^([^|]*)|[^|]*|(.)$')
      if what == 'c' and math.floor(hour / 24) == day_of(now) then
        today[account] = (today[account] or 0) + tonumber(redis.call('HGET', key, entry))
      end
    end
    redis.call('ZADD', P .. 'hours', hour, hour)
    redis.call('PEXPIRE', key, (KEPT_HOURS + 1) * HOUR_MS)
  end
end
for account, total in pairs(a.keys) do
  local key = P .. 'key:' .. account
  redis.call('SADD', P .. 'keys', account)
  local known = key_today(account, now)
  if tonumber(total) > known.total then redis.call('HSET', key, 'total', total) end
  if (today[account] or 0) > known.day then redis.call('HSET', key, 'day_spent', today[account]) end
end
return cjson.encode({})
