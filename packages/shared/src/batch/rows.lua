-- Rows of batches in Redis. A row has a job's hash only from when it is fed until it ends; before and after it is a bit:
--   batch:<id>           hash: state, counters, and `cursor`, the highest row that was ever fed
--   bits:<id>:ok|failed  row r has ended so: bit r - 1
--   bits:<id>:again      row r, not above the cursor, is to be fed again
--   open                 batches that have not ended
--   kept:<id>            rows that were given back and have a hash still, because they have cost something
--   results:<id>:<part>  hash row -> line of the results part, until it lies in the store
--   dirty (batches by when their results are due to be written), dirty:<id> (parts)
--   feeding (accounts), feeding:<account> (batches): who has rows to feed, by when it was served last
--   window               hash: how many rows have tickets: '*' all, 'a:<account>', 'b:<batch>'
--   tickets, served      counters: generations of rows' tickets, which no two share; turns
-- Needs guard.lua.
-- include ../webhook/tell.lua

-- Results wait so long, in milliseconds, before they are written; each part is then written once, not once a row.
local FLUSH_MS = 15000
-- A batch whose first rows all fail alike stops and asks, after so many.
local ALIKE = 20

local function row_of(id)
  local batch, row = string.match(id, '^job_([0-9a-z]+)_(%d+)$')
  if batch then return 'bat_' .. batch, tonumber(row) end
end

local function batch_field(batch, name) return redis.call('HGET', P .. 'batch:' .. batch, name) end
local function batch_number(batch, name) return tonumber(batch_field(batch, name) or nil) or 0 end

local function next_ticket() return redis.call('INCR', P .. 'tickets') end

local function in_window(batch, by)
  local account = batch_field(batch, 'account') or ''
  for _, name in ipairs({ '*', 'a:' .. account, 'b:' .. batch }) do
    if redis.call('HINCRBY', P .. 'window', name, by) <= 0 then redis.call('HDEL', P .. 'window', name) end
  end
end

-- Takes a job from the window of those that have tickets.
local function unfeed(id)
  if redis.call('ZREM', P .. 'fed', id) == 0 then return end
  local batch = row_of(id)
  if batch then in_window(batch, -1) end
end

-- Puts a job into the window.
local function into_window(id, now)
  if redis.call('ZADD', P .. 'fed', now, id) == 0 then return end
  local batch = row_of(id)
  if batch then in_window(batch, 1) end
end

local function has_due(batch)
  local state = redis.call('HMGET', P .. 'batch:' .. batch, 'cursor', 'total')
  return tonumber(state[1]) < tonumber(state[2]) or redis.call('BITPOS', P .. 'bits:' .. batch .. ':again', 1) >= 0
end

-- Has a batch fed, if it runs and has rows to feed.
local function enlist(batch)
  if batch_field(batch, 'status') ~= 'running' or not has_due(batch) then return end
  local account = batch_field(batch, 'account')
  redis.call('ZADD', P .. 'feeding', 'NX', 0, account)
  redis.call('ZADD', P .. 'feeding:' .. account, 'NX', 0, batch)
end

local function delist(batch)
  local account = batch_field(batch, 'account')
  if not account then return end
  redis.call('ZREM', P .. 'feeding:' .. account, batch)
  if redis.call('ZCARD', P .. 'feeding:' .. account) == 0 then redis.call('ZREM', P .. 'feeding', account) end
end

-- The next row of a batch to be fed, or nil: then the batch is fed no more.
local function next_row(batch)
  local again = P .. 'bits:' .. batch .. ':again'
  local pos = redis.call('BITPOS', again, 1)
  if pos >= 0 then
    redis.call('SETBIT', again, pos, 0)
    return pos + 1
  end
  redis.call('DEL', again)
  local state = redis.call('HMGET', P .. 'batch:' .. batch, 'cursor', 'total')
  if tonumber(state[1] or 0) < tonumber(state[2] or 0) then return redis.call('HINCRBY', P .. 'batch:' .. batch, 'cursor', 1) end
  delist(batch)
end

-- Due now, or with the next round.
local function flush_soon(batch, at, sooner)
  redis.call('ZADD', P .. 'dirty', sooner and 'LT' or 'NX', at, batch)
end

-- A row that stops being in flight or between two attempts.
local function row_rests(batch, now)
  local left = redis.call('HINCRBY', P .. 'batch:' .. batch, 'processing', -1)
  if left <= 0 and batch_field(batch, 'status') == 'canceling' then flush_soon(batch, now, true) end
end

local function forget_row(id, now)
  local batch = row_of(id)
  if redis.call('HGET', P .. 'job:' .. id, 'status') == 'processing' then row_rests(batch, now) end
  redis.call('DEL', P .. 'job:' .. id)
  redis.call('SREM', P .. 'kept:' .. batch, id)
  unfeed(id)
end

-- Forgets the rows of a batch that has ended. Where it was canceled some wait still, for a worker or for another attempt.
local function forget_rows(batch, now)
  for _, id in ipairs(redis.call('ZRANGE', P .. 'fed', 0, -1)) do
    if row_of(id) == batch then forget_row(id, now) end
  end
  for _, id in ipairs(redis.call('SMEMBERS', P .. 'kept:' .. batch)) do forget_row(id, now) end
end

-- Gives a row that has no call in flight back to its batch, to be fed later. What it has cost so far stays with it.
local function give_back(id, now)
  local batch, row = row_of(id)
  local job = P .. 'job:' .. id
  local state = redis.call('HMGET', job, 'attempts', 'status', 'cost')
  if state[2] == 'processing' then
    row_rests(batch, now)
    redis.call('HSET', job, 'status', 'queued')
  end
  if tonumber(state[1] or 0) == 0 and tonumber(state[3] or 0) == 0 then
    redis.call('DEL', job)
  else
    -- No ticket has the generation 0: one that is still about asks for nothing.
    redis.call('HSET', job, 'ticket', 0)
    redis.call('SADD', P .. 'kept:' .. batch, id)
  end
  unfeed(id)
  redis.call('SETBIT', P .. 'bits:' .. batch .. ':again', row - 1, 1)
  enlist(batch)
end

-- Whether a row without a call may go on. One that may not goes back to its batch, or is dropped with it.
local function row_may_run(id, now)
  local status = batch_field(row_of(id), 'status')
  if status == 'running' then return true end
  if status == 'paused' then give_back(id, now) else forget_row(id, now) end
  return false
end

-- What a call has cost counts against the batch, also when its row has gone on without it.
local function charge_batch(batch, charge)
  if redis.call('EXISTS', P .. 'batch:' .. batch) == 1 then redis.call('HINCRBY', P .. 'batch:' .. batch, 'cost', charge) end
end

-- Takes a row in whose call began before this Redis was emptied. False when the row has ended.
--   charged  what the row was charged for the call before
local function adopt_row(id, call, entry, charged)
  local batch, row = row_of(id)
  local state = redis.call('HMGET', P .. 'batch:' .. batch, 'status', 'account', 'model', 'created_at', 'runs')
  local bits = P .. 'bits:' .. batch
  if not state[1] or state[1] == 'completed' or state[1] == 'canceled' then return false end
  if redis.call('GETBIT', bits .. ':ok', row - 1) == 1 or redis.call('GETBIT', bits .. ':failed', row - 1) == 1 then return false end
  local cursor = batch_number(batch, 'cursor')
  if row > cursor then
    -- The rows in between have not been fed.
    for skipped = cursor + 1, row - 1 do redis.call('SETBIT', bits .. ':again', skipped - 1, 1) end
    redis.call('HSET', P .. 'batch:' .. batch, 'cursor', row)
  end
  redis.call('SETBIT', bits .. ':again', row - 1, 0)
  redis.call('HSET', P .. 'job:' .. id, 'id', id, 'account', state[2], 'batch', batch, 'row', row, 'status', 'processing',
    'model', state[3], 'attempts', entry.attempts, 'tries', entry.attempts, 'uncertain', 0, 'uncertain_tries', 0, 'cost', charged,
    'call', call, 'ticket', 0, 'created_at', state[4], 'run', state[5], 'started_at', entry.started_at)
  redis.call('HINCRBY', P .. 'batch:' .. batch, 'processing', 1)
  return true
end

local function pause_batch(batch, reason, detail, now)
  -- Until it is decided in the store, too, see end-flush.lua.
  redis.call('HSET', P .. 'batch:' .. batch, 'status', 'paused', 'undecided', 1,
    'hold', cjson.encode({ reason = reason, since = now, detail = detail }))
  delist(batch)
  flush_soon(batch, now, true)
  tell_batch(batch, 'batch.paused', string.format('%.0f', now), now)
end

-- A batch all of whose rows have ended is written to its end.
local function finish_if_ended(batch, now)
  local state = redis.call('HMGET', P .. 'batch:' .. batch, 'status', 'total', 'succeeded', 'failed')
  if tonumber(state[3]) + tonumber(state[4]) < tonumber(state[2]) then return end
  if state[1] == 'running' or state[1] == 'paused' then
    redis.call('HSET', P .. 'batch:' .. batch, 'status', 'finishing')
    redis.call('HDEL', P .. 'batch:' .. batch, 'hold')
    delist(batch)
    show_batch(batch, now)
  end
  flush_soon(batch, now, true)
end

-- Ends a row, once: its bit, the counters, its line of the results.
--   status  'succeeded' | 'failed'
--   told    {part, previous? = {attempts, uncertain, cost, started_at?} of earlier runs}
--   output, failure  JSON, as texts, or nil
local function end_row(id, status, now, told, output, failure)
  local batch, row = row_of(id)
  local state, job = P .. 'batch:' .. batch, P .. 'job:' .. id
  local was = redis.call('HMGET', job, 'attempts', 'uncertain', 'cost', 'started_at', 'status')
  local previous = told.previous or { attempts = 0, uncertain = 0, cost = 0 }
  local started = previous.started_at or was[4] or 'null'
  if type(started) == 'number' then started = string.format('%.0f', started) end
  local line = string.format(
    '{"row":%d,"run":%d,"status":"%s"%s%s,"attempts":%.0f,"uncertain":%.0f,"cost":%.0f,"started_at":%s,"ended_at":%.0f}',
    row, batch_number(batch, 'runs'), status,
    output and ',"output":' .. output or '', failure and ',"error":' .. failure or '',
    previous.attempts + was[1], previous.uncertain + was[2], previous.cost + was[3], started, now)
  local bits = P .. 'bits:' .. batch
  redis.call('SETBIT', bits .. (status == 'succeeded' and ':ok' or ':failed'), row - 1, 1)
  -- An image may come for a row that was given back.
  if redis.call('GETBIT', bits .. ':again', row - 1) == 1 then redis.call('SETBIT', bits .. ':again', row - 1, 0) end
  redis.call('HINCRBY', state, status, 1)
  redis.call('HSET', P .. 'results:' .. batch .. ':' .. told.part, row, line)
  redis.call('SADD', P .. 'dirty:' .. batch, told.part)
  redis.call('LPUSH', P .. 'ends:' .. batch, now)
  redis.call('LTRIM', P .. 'ends:' .. batch, 0, 49)
  flush_soon(batch, now + FLUSH_MS)
  forget_row(id, now)
  tell_row(id, batch, row, status, line, now)

  if status == 'failed' then
    local code = cjson.decode(failure).code
    local counts = redis.call('HMGET', state, 'succeeded', 'failed', 'alike_code', 'alike', 'status', 'total')
    local failed = tonumber(counts[2])
    if counts[1] == '0' and (not counts[3] or counts[3] == code) and tonumber(counts[4] or 0) == failed - 1 then
      redis.call('HSET', state, 'alike_code', code, 'alike', failed)
      if failed == ALIKE and counts[5] == 'running' and failed < tonumber(counts[6]) then
        pause_batch(batch, 'batch_failing', string.format(
          'The first %d rows all failed with %s, so the batch stopped before it spends more. Look at their errors; resume goes on with the next rows, retry calls the failed ones again, cancel ends it.',
          ALIKE, code), now)
      end
    end
  end
  finish_if_ended(batch, now)
end
