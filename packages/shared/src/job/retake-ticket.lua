-- Gives a job that was fed, but has no ticket in the queue, a new one: whoever fed it died before it was queued.
-- a: generation, id, fed_at (as read; another feeder that was quicker has changed it)
-- Returns {ticket = generation of the new ticket, or nothing}
-- include ../redis/guard.lua
-- include ../batch/rows.lua

local score = redis.call('ZSCORE', P .. 'fed', a.id)
if not score or tonumber(score) ~= a.fed_at then return cjson.encode({}) end
local job = P .. 'job:' .. a.id
local status = redis.call('HGET', job, 'status')
if status ~= 'queued' and status ~= 'processing' then
  unfeed(a.id)
  return cjson.encode({})
end
redis.call('ZADD', P .. 'fed', redis_now(), a.id)
if not row_of(a.id) then return cjson.encode({ ticket = redis.call('HINCRBY', job, 'ticket', 1) }) end
local ticket = next_ticket()
redis.call('HSET', job, 'ticket', ticket)
return cjson.encode({ ticket = ticket })
