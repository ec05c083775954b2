-- These lines of a part lie in the store.
-- a: generation, id, part, version (the lease), lines
-- Returns {ours = false: the lease has run out, another writes the part; nothing was changed}
-- include ../redis/guard.lua

local lease = string.format('%.0f', a.version)
if redis.call('GET', P .. 'flushing:' .. a.id) ~= lease then return cjson.encode({ ours = false }) end
local results = P .. 'results:' .. a.id .. ':' .. a.part
for _, line in ipairs(a.lines) do
  local row = string.match(line, '^{"row":(%d+),')
  if row and redis.call('HGET', results, row) == line then redis.call('HDEL', results, row) end
end
redis.call('HSET', P .. 'versions:' .. a.id, a.part, lease)
if redis.call('EXISTS', results) == 0 then redis.call('SREM', P .. 'dirty:' .. a.id, a.part) end
return cjson.encode({ ours = true })
