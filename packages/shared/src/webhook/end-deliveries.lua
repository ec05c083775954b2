-- Ends deliveries that wait for an endpoint that was deleted: nobody is to be sent them any more.
-- a: generation, receiver, most. Returns {ended}
-- include ../redis/guard.lua
-- include receivers.lua

local ids = redis.call('ZRANGE', P .. 'dq:' .. a.receiver, 0, a.most - 1)
for _, id in ipairs(ids) do
  redis.call('ZREM', P .. 'dq:' .. a.receiver, id)
  set_status(id, redis.call('HGET', P .. 'dlv:' .. id, 'account'), 'failed')
end
line_up(a.receiver, redis_now())
return cjson.encode({ ended = #ids })
