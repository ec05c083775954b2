-- Tells what happened, in the step in which it does:
--   live    stream of the latest changes, for those who watch; see services/api/src/live
--   outbox  stream of events that somebody has asked for, each until it has become deliveries; see event.ts
--   hooks:<account>  hash: endpoint -> the types it hears, as eventsField makes them; hooked: accounts that have any
-- Needs guard.lua.

-- Who watches and was away for longer than this many changes is given a snapshot.
local LIVE_MOST = 10000
-- A batch tells how far it is when so many percent of its rows more have ended, and so many milliseconds have passed.
local PROGRESS_PERCENT, PROGRESS_MS = 5, 10000

-- ... further fields and their values
local function live(account, type, now, ...)
  redis.call('XADD', P .. 'live', 'MAXLEN', '~', LIVE_MOST, '*', 'account', account, 'type', type, 'at', now, ...)
end

local function hears(types, type) return types == '*' or string.find(types, ' ' .. type .. ' ', 1, true) ~= nil end

-- Who is to be told of an event: whoever made the job or batch said where (own), and the account's endpoints.
local function addressees(account, type, own, own_types)
  local to = {}
  if own and hears(own_types, type) then to[1] = { url = own } end
  local hooks = redis.call('HGETALL', P .. 'hooks:' .. account)
  for i = 1, #hooks, 2 do
    if hears(hooks[i + 1], type) then to[#to + 1] = { webhook = hooks[i] } end
  end
  return to
end

-- The same happening has the same id, whoever tells of it and however often. run: which of several, where there may be.
local function event_id(subject, type, run)
  return 'evt_' .. string.sub(redis.sha1hex(subject .. ' ' .. type .. ' ' .. run), 1, 26)
end

local function put_out(event)
  redis.call('XADD', P .. 'outbox', '*', 'event', cjson.encode(event))
  redis.call('INCR', P .. 'told')
end

-- A job outside of batches has ended: with its `endings`-th end.
local function tell_job(id, status, account, now)
  local type = 'job.' .. status
  live(account, type, now, 'job', id)
  local job = P .. 'job:' .. id
  local run = redis.call('HINCRBY', job, 'endings', 1)
  local own = redis.call('HMGET', job, 'webhook', 'webhook_events')
  local to = addressees(account, type, own[1], own[2])
  if #to == 0 then return end
  put_out({ id = event_id(id, type, run), type = type, account = account, at = now, to = to, job_id = id, job = hash(job) })
end

-- Of a batch. run: see event_id. at: when it happened as the store knows it, where that was before; missed-events.ts
-- tells it again with that time, so that it is the same delivery.
local function tell_batch(id, type, run, now, at)
  local own = redis.call('HMGET', P .. 'batch:' .. id, 'account', 'webhook', 'webhook_events')
  live(own[1], type, now, 'batch', id)
  local to = addressees(own[1], type, own[2], own[3])
  if #to == 0 then return end
  put_out({
    id = event_id(id, type, run), type = type, account = own[1], at = at or now, to = to, batch_id = id, batch = hash(P .. 'batch:' .. id),
  })
end

-- A batch has changed, in a way that only those hear who watch.
local function show_batch(id, now)
  local account = redis.call('HGET', P .. 'batch:' .. id, 'account')
  if account then live(account, 'batch.progress', now, 'batch', id) end
end

local function tell_progress(batch, state, now)
  local total, ended = tonumber(state[5]), tonumber(state[6]) + tonumber(state[7])
  local step = math.floor(ended * 100 / total / PROGRESS_PERCENT)
  if ended >= total or step <= tonumber(state[8] or 0) or now - tonumber(state[9] or state[10]) < PROGRESS_MS then return end
  redis.call('HSET', P .. 'batch:' .. batch, 'progress_step', step, 'progress_at', now)
  tell_batch(batch, 'batch.progress', state[4] .. ' ' .. step, now)
end

-- A row has ended. line: of the results. Its events are told only where its batch has asked for them, by name.
local function tell_row(id, batch, row, status, line, now)
  local type = 'job.' .. status
  local state = redis.call('HMGET', P .. 'batch:' .. batch, 'account', 'webhook', 'webhook_events', 'runs',
    'total', 'succeeded', 'failed', 'progress_step', 'progress_at', 'created_at', 'request', 'traceparent')
  local account, asked = state[1], state[3]
  live(account, type, now, 'job', id, 'batch', batch, 'row', row, 'line', line)
  tell_progress(batch, state, now)
  if not asked or not hears(asked, type) then return end
  local to = addressees(account, type, state[2], asked)
  if #to == 0 then return end
  put_out({
    id = event_id(id, type, state[4]), type = type, account = account, at = now, to = to, job_id = id, batch_id = batch,
    row = { row = row, line = line }, request = state[11] or nil, traceparent = state[12] or nil,
  })
end

-- A batch was canceled: of its rows that were not rendered those are told who asked for them by name. There may be a
-- million of them, so they are not written out here but read from the store, as what was missed is; see relay.ts.
local function tell_canceled_rows(batch, at)
  local state = redis.call('HMGET', P .. 'batch:' .. batch, 'account', 'webhook', 'webhook_events', 'runs')
  local account, asked, type = state[1], state[3], 'job.canceled'
  if not asked or not hears(asked, type) then return end
  local to = addressees(account, type, state[2], asked)
  if #to == 0 then return end
  put_out({ id = event_id(batch, type, state[4]), type = type, account = account, at = at, to = to, batch_id = batch, rows = true })
end

-- What concerns all accounts.
local function tell_of_credits(event, now)
  live('', event.type, now, 'id', event.id)
  for _, account in ipairs(redis.call('SMEMBERS', P .. 'hooked')) do
    local to = addressees(account, event.type)
    if #to > 0 then
      put_out({ id = event.id, type = event.type, account = account, at = now, to = to, credits = event.credits })
    end
  end
end
