-- Forgets deliveries that were made long ago, whatever has become of them.
-- a: generation, before (milliseconds since 1970), most. Returns {forgotten}
-- include ../redis/guard.lua
-- include receivers.lua

local old = redis.call('ZRANGEBYSCORE', P .. 'deliveries', '-inf', a.before, 'LIMIT', 0, a.most)
for _, id in ipairs(old) do
  local receiver = redis.call('HGET', P .. 'dlv:' .. id, 'receiver')
  forget_delivery(id)
  if receiver then line_up(receiver, redis_now()) end
end
return cjson.encode({ forgotten = #old })
