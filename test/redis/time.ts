import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';

const SHIFT = `
local P, ms = KEYS[1], tonumber(ARGV[1])

local sets = { 'slots', 'fed', 'expiring', 'ended', 'ahead', 'line', 'dirty', 'receivers', 'receivers:failing', 'leases', 'deliveries' }
for _, model in ipairs(redis.call('SMEMBERS', P .. 'parked')) do sets[#sets + 1] = 'parked:' .. model end
if redis.call('EXISTS', P .. 'deliveries') == 1 then
  for _, key in ipairs(redis.call('KEYS', P .. 'dq:*')) do sets[#sets + 1] = string.sub(key, #P + 1) end
end
for _, name in ipairs(sets) do
  local all = redis.call('ZRANGE', P .. name, 0, -1, 'WITHSCORES')
  for i = 1, #all, 2 do
    -- A score of 0 is no time: the order is by id.
    if all[i + 1] ~= '0' then redis.call('ZADD', P .. name, all[i + 1] - ms, all[i]) end
  end
end

for _, batch in ipairs(redis.call('ZRANGE', P .. 'dirty', 0, -1)) do
  local lease = P .. 'flushing:' .. batch
  local left = redis.call('PTTL', lease)
  if left > ms then redis.call('PEXPIRE', lease, left - ms) elseif left >= 0 then redis.call('DEL', lease) end
end

local entries = { calls = { 'started_at', 'resolve_after' }, uncertain = { 'started_at', 'resolve_after', 'at', 'charged_at' },
  holds = { 'since', 'until', 'trial_at' } }
for name, times in pairs(entries) do
  local all = redis.call('HGETALL', P .. name)
  for i = 1, #all, 2 do
    local entry = cjson.decode(all[i + 1])
    for _, time in ipairs(times) do if entry[time] then entry[time] = entry[time] - ms end end
    redis.call('HSET', P .. name, all[i], cjson.encode(entry))
  end
end

-- To look for keys takes long among those of other tests: it is done only where there are some.
local function shift(keys, times)
  for _, key in ipairs(redis.call('KEYS', P .. keys)) do
    for _, time in ipairs(times) do
      if redis.call('HEXISTS', key, time) == 1 then redis.call('HINCRBY', key, time, -ms) end
    end
  end
end
if redis.call('EXISTS', P .. 'dirty', P .. 'feeding') > 0 then shift('batch:*', { 'progress_at' }) end
if redis.call('EXISTS', P .. 'deliveries') == 1 then
  shift('dlv:*', { 'created_at', 'next_at' })
  shift('hook:*', { 'failing_since', 'disabled_at', 'missed_since', 'last_success_at', 'last_failure_at' })
end

if redis.call('HEXISTS', P .. 'credits', 'drain_at') == 1 then redis.call('HINCRBY', P .. 'credits', 'drain_at', -ms) end
for _, name in ipairs({ 'successes', 'served_at' }) do
  local all = redis.call('HGETALL', P .. name)
  for i = 1, #all, 2 do redis.call('HINCRBY', P .. name, all[i], -ms) end
end
sets[#sets + 1] = 'waiting'
for _, name in ipairs(sets) do
  for _, id in ipairs(redis.call('ZRANGE', P .. name, 0, -1)) do
    local job = P .. 'job:' .. id
    if redis.call('HEXISTS', job, 'refused_at') == 1 then redis.call('HINCRBY', job, 'refused_at', -ms) end
  end
end
if redis.call('HEXISTS', P .. 'credits', 'doubt') == 1 then redis.call('HINCRBY', P .. 'credits', 'doubt', -ms) end

-- Books are kept by hours and days: what was written now is of an hour, and perhaps of a day, that lies behind.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local hours = math.floor(now / 3600000) - math.floor((now - ms) / 3600000)
local days = math.floor(now / 86400000) - math.floor((now - ms) / 86400000)
if hours > 0 then
  for _, hour in ipairs(redis.call('ZRANGE', P .. 'hours', 0, -1)) do
    redis.call('ZREM', P .. 'hours', hour)
    redis.call('ZADD', P .. 'hours', hour - hours, hour - hours)
    redis.call('RENAME', P .. 'books:' .. hour, P .. 'books:' .. (hour - hours))
  end
end
if days > 0 then
  for _, account in ipairs(redis.call('SMEMBERS', P .. 'keys')) do
    local key = P .. 'key:' .. account
    if redis.call('HEXISTS', key, 'day') == 1 then redis.call('HINCRBY', key, 'day', -days) end
  end
  local unnoted = redis.call('HGETALL', P .. 'unnoted-days')
  redis.call('DEL', P .. 'unnoted-days')
  for i = 1, #unnoted, 2 do redis.call('HSET', P .. 'unnoted-days', unnoted[i] - days, unnoted[i + 1]) end
end
local rate = redis.call('HGETALL', P .. 'rate')
for i = 1, #rate, 2 do
  local second, calls = string.match(rate[i + 1], '^(%d+)|(%d+)$')
  redis.call('HSET', P .. 'rate', rate[i], string.format('%.0f|', second - math.floor(ms / 1000)) .. calls)
end
for i, time in ipairs(redis.call('LRANGE', P .. 'pace', 0, -1)) do redis.call('LSET', P .. 'pace', i - 1, time - ms) end
`;

/**
 * Lets time pass for the scripts, whose clock is Redis's own and cannot be set: whatever they have written down as a
 * time is moved into the past. Nothing waits, so tests of leases and trials take no longer than others. It has to know
 * every place where a time stands that a script compares with its clock.
 */
export async function letTimePass(redis: Redis, prefix: string, ms: number): Promise<void> {
  await redis.eval(SHIFT, 1, prefix, String(ms));
}

const HOUR_MS = 3_600_000;
/** Longer than a test takes that looks at books of one hour, in milliseconds. */
const ONE_TEST_MS = 5000;

/** Where an hour is about to end, waits for the next one: what a test writes and reads then is of the same hour and day. */
export async function awayFromHourEnd(): Promise<void> {
  const left = HOUR_MS - (Date.now() % HOUR_MS);
  if (left < ONE_TEST_MS) await sleep(left + 10);
}
