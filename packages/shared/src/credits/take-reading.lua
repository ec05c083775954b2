-- Takes in the answer of the balance call.
-- a: generation, value (nanocredits; missing: the answer held no usable balance), seq and started_at (as probe-start
--    gave them), floor, resume (nanocredits), estimate (nanocredits), slots? (1)
-- Returns {released = whether the hold for credits ended by this}
-- include ../redis/guard.lua
-- include settle.lua
-- include holds.lua

-- Whether a job is still to be rendered. A row may have been given back, and has no hash then.
local function still_wanted(job)
  local batch, row = row_of(job)
  if not batch then
    local state = redis.call('HMGET', P .. 'job:' .. job, 'status', 'cancel')
    return (state[1] == 'queued' or state[1] == 'processing') and not state[2]
  end
  local bits = P .. 'bits:' .. batch
  return batch_field(batch, 'status') == 'running' and redis.call('GETBIT', bits .. ':ok', row - 1) == 0
    and redis.call('GETBIT', bits .. ':failed', row - 1) == 0
end

local now = redis_now()
local seq = credits_number('seq') or 0
if a.value then
  take_reading({ value = a.value, seq = a.seq, started_at = a.started_at }, seq, now, 'call')
  redis.call('HDEL', P .. 'credits', 'header_only')
else
  -- From now on headers are all there is, and may raise the balance too. Where they tell nothing either, or nothing is
  -- known of what happened since, what was believed before is no balance.
  redis.call('HSET', P .. 'credits', 'header_only', 1)
  redis.call('HDEL', P .. 'credits', 'header', 'header_differences')
  if credits_number('doubt') or (credits_number('untold') or 0) >= (a.slots or 1) then
    redis.call('HDEL', P .. 'credits', 'balance', 'read_at', 'untold')
  end
end
-- An answer to a question of before the doubt does not end it: it may be another account's.
if a.started_at >= (credits_number('doubt') or 0) then redis.call('HDEL', P .. 'credits', 'doubt') end
redis.call('HSET', P .. 'credits', 'probed_seq', a.seq == seq and credits_number('seq') or a.seq, 'probed_at', now)
local released = false
local balance = credits_number('balance')
local floor = tonumber(redis.call('HGET', P .. 'policy', 'floor') or nil) or a.floor
if not balance then
  -- Without a floor one call at a time goes on without any balance; see admit.lua.
  local hold = redis.call('HGET', P .. 'holds', 'credits')
  if floor <= 0 and hold and cjson.decode(hold).unread then released = release_credits('enough', now) end
else
  local left = balance - (credits_number('reserved') or 0) - (credits_number('uncertain') or 0)
  local resume = tonumber(redis.call('HGET', P .. 'policy', 'resume') or nil) or a.resume
  local hold = redis.call('HGET', P .. 'holds', 'credits')
  if hold then
    hold = cjson.decode(hold)
    local enough = floor + math.max(a.estimate, hold.estimate or 0)
    -- The image that was too dear is wanted no more. What the next one costs is found out when it asks.
    if hold.job and not still_wanted(hold.job) then enough = floor + 1 end
    -- What was held because the balance could not be read owes no margin, nor does what somebody wants to go on.
    if not hold.unread and not hold.by_hand then enough = math.max(resume, enough) end
    -- A refusal that the balance cannot explain (a team's spend limit) is tried, not read: its hold has a trial.
    if not hold.trial_at and left >= enough then released = release_credits('enough', now) end
  end
  local waited = credits_number('drain')
  if waited and left >= floor + waited then drained(now, 'enough') end
end
turn(now)
return cjson.encode({ released = released })
