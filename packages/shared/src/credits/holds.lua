-- Holds: a hash of name -> JSON {since, detail, until?, trial_at?}. Each is set and released by its own cause.

local function set_hold(name, hold, now)
  local standing = redis.call('HGET', P .. 'holds', name)
  if standing then hold.since = cjson.decode(standing).since else hold.since = now end
  redis.call('HSET', P .. 'holds', name, cjson.encode(hold))
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

-- Three endings in a row that nobody can know, without one success, are more than bad luck with one row.
local STREAK = 3
local function count_incidents(n, trial_ms, now)
  if n == 0 then return end
  if redis.call('HINCRBY', P .. 'credits', 'streak', n) >= STREAK then
    set_hold('upstream', {
      detail = 'Three calls in a row ended without a known outcome, and each may have been billed. One call at a time is tried until one succeeds.',
      trial_at = now + trial_ms,
    }, now)
  end
end
