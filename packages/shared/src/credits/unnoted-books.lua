-- The books of days of which the store has not been told since they changed.
-- a: generation
-- Returns {days = [[day, changes, JSON of {upstream, hours, keys}], …] or nothing}
-- include ../redis/guard.lua

local days = {}
local keys = {}
for _, account in ipairs(redis.call('SMEMBERS', P .. 'keys')) do
  -- As a text: as a number it would lose its last digits from 100,000 credits on.
  keys[account] = redis.call('HGET', P .. 'key:' .. account, 'total') or '0'
end
for day, changes in pairs(hash(P .. 'unnoted-days') or {}) do
  local hours = {}
  for hour = day * 24, day * 24 + 23 do
    local entries = hash(P .. 'books:' .. string.format('%.0f', hour))
    if entries then hours[string.format('%.0f', hour)] = entries end
  end
  days[#days + 1] = { tonumber(day), tonumber(changes), cjson.encode({
    upstream = redis.call('HGET', P .. 'credits', 'upstream') or nil, hours = hours, keys = keys,
  }) }
end
return cjson.encode({ days = #days > 0 and days or nil })
