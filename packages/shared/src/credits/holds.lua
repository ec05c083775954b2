-- include states.lua
-- Holds: a hash of name -> JSON {since, detail, until?, trial_at?, unread?, cause?, by_hand?, decided?}. Each is set and released by
-- its own cause. Those of a model or of a key hold what is theirs only.
--   cause    of the hold `credits`: see states.lua; estimate, job: the image that would have gone below the floor
--   decided  of `operator`: it lies in the store as a decision
--   by_hand  somebody wants work to go on as soon as one more image is possible

local function set_hold(name, hold, now)
  local standing = redis.call('HGET', P .. 'holds', name)
  standing = standing and cjson.decode(standing)
  -- That a balance cannot be read is no reason to let go sooner what is held for a better one.
  if standing and hold.unread and not standing.unread then return false end
  hold.since = standing and standing.since or now
  hold.decided = standing and standing.decided or nil
  if name == 'credits' then hold.by_hand = standing and standing.by_hand or nil end
  redis.call('HSET', P .. 'holds', name, cjson.encode(hold))
  if name == 'credits' then
    redis.call('HDEL', P .. 'credits', 'drain', 'drain_at')
    turn(now)
  end
  return not standing
end

-- Whether this hold lets a call pass: it has run out, or a trial is due, which this call then is.
local function passes(name, now, trial_ms)
  local text = redis.call('HGET', P .. 'holds', name)
  if not text then return true end
  local hold = cjson.decode(text)
  if hold['until'] and hold['until'] <= now then
    redis.call('HDEL', P .. 'holds', name)
    return true
  end
  if hold.trial_at and hold.trial_at <= now then return true, hold end
  return false, hold
end

-- Three calls in a row without an answer that can be believed, and without one success in between, are more than bad
-- luck with one row: each may have been billed, or nobody is there. A gateway's 502, 503 or 504 weighs a quarter, so
-- that no job alone holds all with its retries, and an outage does.
local GRAVE, LIGHT, STREAK = 4, 1, 12
local function count_incidents(n, trial_ms, now, weight)
  if n == 0 then return end
  if redis.call('HINCRBY', P .. 'credits', 'streak', n * (weight or GRAVE)) >= STREAK then
    set_hold('upstream', {
      detail = 'Several calls in a row got no answer that can be believed. One call at a time is tried until one succeeds.',
      trial_at = now + trial_ms,
    }, now)
  end
end
