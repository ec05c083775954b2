-- Gives tickets to jobs that wait, up to the window of tickets that may stand in the queue: first to single jobs, the
-- oldest first, then to rows of batches. Singles and rows have a window each, so that neither fills the other's. Of the
-- accounts that with the fewest tickets is served, then of its batches that with the fewest; of equals the one that was
-- served the longest time ago. So a batch whose rows wait for another attempt takes no more than its share.
-- Jobs of a model or a key that is held are parked, so that they keep no place from others.
-- a: generation, window, most (how many at once)
-- Returns {tickets = [[job, generation of its ticket], …] or nothing}
-- include ../redis/guard.lua
-- include ../credits/holds.lua
-- include ../batch/rows.lua

-- Of more accounts or batches than this, those served the longest time ago are looked at; and of batches whose model is
-- held so many at once. They go to the end of the line, so that the next feed goes on with others.
local LOOKED_AT, MOST_HELD = 64, 200

local now = redis_now()
local tickets = {}
local rows = tonumber(redis.call('HGET', P .. 'window', '*') or nil) or 0
local singles = redis.call('ZCARD', P .. 'fed') - rows

local looked = 0
while singles < a.window and #tickets < a.most and looked < 1000 do
  local id = redis.call('ZPOPMIN', P .. 'waiting')[1]
  if not id then break end
  looked = looked + 1
  local job = P .. 'job:' .. id
  local state = redis.call('HMGET', job, 'status', 'model', 'account')
  if state[1] == 'queued' then
    local held = not passes('model:' .. state[2], now) and state[2] or not passes('key:' .. state[3], now) and 'key:' .. state[3]
    if not held then
      redis.call('ZADD', P .. 'fed', now, id)
      singles = singles + 1
      tickets[#tickets + 1] = { id, redis.call('HINCRBY', job, 'ticket', 1) }
    else
      redis.call('ZADD', P .. 'parked:' .. held, 0, id)
      redis.call('SADD', P .. 'parked', held)
    end
  elseif state[1] == 'processing' then
    -- An older ticket was quicker to make a call. It goes on with that one; from here on the job is looked after.
    redis.call('ZADD', P .. 'fed', 'NX', now, id)
  end
end

-- The member of a list of who is to be served that has the fewest tickets.
local function fewest(list, kind, left_out)
  local names, fields, from = {}, {}, 0
  while #names == 0 do
    local some = redis.call('ZRANGE', list, from, from + LOOKED_AT - 1)
    if #some == 0 then return nil end
    for _, name in ipairs(some) do
      if not left_out[kind .. name] then
        names[#names + 1] = name
        fields[#fields + 1] = kind .. name
      end
    end
    from = from + LOOKED_AT
  end
  local found, least
  for i, count in ipairs(redis.call('HMGET', P .. 'window', unpack(fields))) do
    count = tonumber(count or nil) or 0
    if not least or count < least then found, least = names[i], count end
  end
  return found
end

local function feed_row(batch, row)
  local id = 'job_' .. string.sub(batch, 5) .. '_' .. row
  local job = P .. 'job:' .. id
  local ticket = next_ticket()
  if redis.call('EXISTS', job) == 1 then
    redis.call('HSET', job, 'ticket', ticket)
    redis.call('SREM', P .. 'kept:' .. batch, id)
  else
    local state = redis.call('HMGET', P .. 'batch:' .. batch, 'account', 'model', 'created_at', 'runs')
    redis.call('HSET', job, 'id', id, 'account', state[1], 'batch', batch, 'row', row, 'status', 'queued', 'model', state[2],
      'attempts', 0, 'tries', 0, 'uncertain', 0, 'uncertain_tries', 0, 'cost', 0, 'call', '', 'ticket', ticket,
      'created_at', state[3], 'run', state[4])
  end
  into_window(id, now)
  tickets[#tickets + 1] = { id, ticket }
end

-- To the end of those who are served, whether there was anything for them or not.
local function had_turn(account, batch)
  local served = redis.call('INCR', P .. 'served')
  redis.call('ZADD', P .. 'feeding', 'XX', served, account)
  if batch then redis.call('ZADD', P .. 'feeding:' .. account, 'XX', served, batch) end
end

local left_out, held = {}, 0
local window_left = a.window - rows
while window_left > 0 and #tickets < a.most and held < MOST_HELD do
  local account = fewest(P .. 'feeding', 'a:', left_out)
  if not account then break end
  local batch = passes('key:' .. account, now) and fewest(P .. 'feeding:' .. account, 'b:', left_out)
  if not batch then
    left_out['a:' .. account] = true
    had_turn(account)
    if redis.call('ZCARD', P .. 'feeding:' .. account) == 0 then redis.call('ZREM', P .. 'feeding', account) end
  elseif not passes('model:' .. (batch_field(batch, 'model') or ''), now) then
    left_out['b:' .. batch] = true
    held = held + 1
    had_turn(account, batch)
  else
    local row = next_row(batch)
    if row then
      feed_row(batch, row)
      window_left = window_left - 1
      had_turn(account, batch)
    end
  end
end
return cjson.encode({ tickets = #tickets > 0 and tickets or nil })
