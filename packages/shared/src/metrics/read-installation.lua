-- Reads what an installation is like, for those who watch, in one step. Nothing is changed. However much there is, it looks
-- at so many of each: the oldest of what waits, some of the batches and receivers. While it runs Redis does nothing else.
-- a: generation
-- Returns {now, …} as `Told` of installation.ts names it: times in milliseconds since 1970, amounts in
--    nanocredits as texts, and false for what is not known
-- include ../redis/guard.lua
-- include ../job/backlog.lua
-- include ../credits/rate.lua

local MOST_FED, MOST_WAITING, MOST_BATCHES, MOST_RECEIVERS = 2000, 1000, 5000, 2000
-- Parked jobs: of all lots together, beside the first of each; and of one lot those that were called before.
local MOST_PARKED, MOST_CALLED = 1000, 100

local now = redis_now()
local function number(value) return tonumber(value or nil) end
local function earlier(one, other) return one and other and math.min(one, other) or one or other end

-- Since when a single job waits for a call: its retry by hand, the end of the wait before its next attempt, else its
-- acceptance; or its ticket, where it has made calls before.
local JOB = { 'status', 'created_at', 'queued_at', 'retry_at', 'started_at' }
local function waits_since(state, fed_at)
  if state[4] then return number(state[4]) end
  return number(state[3]) or state[5] and fed_at or number(state[2])
end

-- Tickets that nobody has called for.
local oldest_ticket, oldest_job, unclaimed = nil, nil, 0
local fed = redis.call('ZRANGE', P .. 'fed', 0, MOST_FED - 1, 'WITHSCORES')
for i = 1, #fed, 2 do
  local state = redis.call('HMGET', P .. 'job:' .. fed[i], unpack(JOB))
  if state[1] == 'queued' then
    local at = tonumber(fed[i + 1])
    oldest_ticket = earlier(oldest_ticket, math.max(at, number(state[4]) or 0))
    if not string.match(fed[i], '^job_[0-9a-z]+_%d+$') then
      unclaimed = unclaimed + 1
      oldest_job = earlier(oldest_job, waits_since(state, at))
    end
  end
end

-- Ids are in the order of acceptance, so the first that was not retried by hand is the oldest of those: nearly always the
-- first of all. Returns whether this is one.
local function look_at(id)
  local state = redis.call('HMGET', P .. 'job:' .. id, unpack(JOB))
  if state[1] ~= 'queued' then return false end
  oldest_job = earlier(oldest_job, waits_since(state))
  return not state[3]
end
-- Returns at how many it had to look.
local PAGE = 20
local function look_through(key, most)
  for from = 0, most - 1, PAGE do
    local ids = redis.call('ZRANGE', key, from, math.min(from + PAGE, most) - 1)
    for n, id in ipairs(ids) do
      if look_at(id) then return from + n end
    end
    if #ids < PAGE then return from + #ids end
  end
  return most
end
look_through(P .. 'waiting', MOST_WAITING)
local left = MOST_PARKED
for _, lot in ipairs(redis.call('SMEMBERS', P .. 'parked')) do
  local parked = P .. 'parked:' .. lot
  left = left - look_through(parked, math.max(left, 1))
  -- Those that were called before they were parked have a time, and come last.
  local called = left > 0 and redis.call('ZRANGEBYSCORE', parked, '(0', '+inf', 'LIMIT', 0, math.min(left, MOST_CALLED)) or {}
  for _, id in ipairs(called) do look_at(id) end
  left = left - #called
end

local holds = {}
local batches, rows = { running = 0, paused = 0, canceling = 0, finishing = 0 }, 0
for _, id in ipairs(redis.call('SRANDMEMBER', P .. 'open', MOST_BATCHES)) do
  local state = redis.call('HMGET', P .. 'batch:' .. id, 'status', 'total', 'succeeded', 'failed', 'processing', 'hold')
  local status = state[1]
  if batches[status] then batches[status] = batches[status] + 1 end
  if status == 'paused' and state[6] then
    local hold = cjson.decode(state[6])
    holds[#holds + 1] = { reason = hold.reason, since = hold.since }
  end
  if status == 'running' or status == 'paused' then
    rows = rows + math.max(0, state[2] - state[3] - state[4] - (state[5] or 0))
  end
end

local queue = P .. 'render:'
local tickets = {
  waiting = redis.call('LLEN', queue .. 'wait') + redis.call('ZCARD', queue .. 'prioritized'),
  active = redis.call('LLEN', queue .. 'active'),
  delayed = redis.call('ZCARD', queue .. 'delayed'),
}

-- A receiver that fails, or is disabled, has due deliveries for reasons of its own.
local deliveries, oldest_due = redis.call('ZCARD', P .. 'leases'), nil
for _, receiver in ipairs(redis.call('ZRANGE', P .. 'owed', 0, MOST_RECEIVERS - 1)) do
  local due = P .. 'dq:' .. receiver
  local hook = redis.call('HMGET', P .. 'hook:' .. receiver, 'failing', 'state')
  deliveries = deliveries + redis.call('ZCARD', due)
  if not hook[1] and hook[2] ~= 'disabled' then
    oldest_due = earlier(oldest_due, number(redis.call('ZRANGE', due, 0, 0, 'WITHSCORES')[2]))
  end
end

local all = redis.call('HGETALL', P .. 'holds')
for i = 1, #all, 2 do
  local hold = cjson.decode(all[i + 1])
  if not hold['until'] or hold['until'] > now then holds[#holds + 1] = { name = all[i], since = hold.since } end
end

-- Those that were heard of lately, as roster.ts has it.
local FORGET_MS = 15000
local processes = { api = 0, worker = 0 }
for _, text in ipairs(redis.call('HVALS', P .. 'roster')) do
  local told = cjson.decode(text)
  local service = told.entry.service
  if now - told.at <= FORGET_MS and processes[service] then processes[service] = processes[service] + 1 end
end

local credits = redis.call('HMGET', P .. 'credits', 'balance', 'read_at', 'reserved', 'uncertain', 'spent', 'state')
local policy = redis.call('HMGET', P .. 'policy', 'floor', 'told:floor', 'low', 'told:low')
local head = redis.call('XRANGE', P .. 'outbox', '-', '+', 'COUNT', 1)[1]
return cjson.encode({
  now = now, processes = processes,
  tickets = tickets, oldest_ticket = oldest_ticket or false,
  jobs = backlog() + unclaimed, oldest_job = oldest_job or false,
  batches = batches, rows = rows,
  calls_of_minute = calls_of_minute(now), slots = redis.call('ZCARD', P .. 'slots'),
  balance = credits[1], read_at = number(credits[2]) or false, reserved = credits[3], uncertain = credits[4], spent = credits[5],
  state = credits[6] or 'open', floor = policy[1] or policy[2], low = policy[3] or policy[4],
  uncertain_calls = redis.call('HLEN', P .. 'uncertain'),
  holds = #holds > 0 and holds or false,
  deliveries = deliveries, oldest_due = oldest_due or false,
  outbox = redis.call('XLEN', P .. 'outbox'), oldest_event = head and tonumber(string.match(head[1], '^%d+')) or false,
})
