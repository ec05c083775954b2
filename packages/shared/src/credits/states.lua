-- include fields.lua
-- include ../webhook/tell.lua
-- The state of the account, for people and their programs: see credit-state.ts, which has the same list, and
-- docs/credits.md, which draws it. What may be called is decided by admit.lua, not by the state.
local TRANSITIONS = {
  ['open low'] = { 'below_low' },
  ['low open'] = { 'recovered', 'upstream_changed' },
  ['open draining'] = { 'floor_near' },
  ['low draining'] = { 'floor_near' },
  ['draining open'] = { 'enough', 'not_asked', 'upstream_changed' },
  ['draining low'] = { 'enough', 'not_asked' },
  ['open held'] = { 'refused', 'balance_unread' },
  ['low held'] = { 'refused', 'balance_unread' },
  ['draining held'] = { 'floor_reached', 'refused', 'balance_unread' },
  ['held open'] = { 'enough', 'rendered', 'upstream_changed' },
  ['held low'] = { 'enough', 'rendered' },
}
-- An image that nobody has asked for in this time, in milliseconds, is waited for no more.
local ASKED_MS = 15000
local MOST_EVENTS = 1000

local function whole(amount) return amount == '' and '' or string.format('%.0f', amount) end

local function move(to, cause, now)
  local was = redis.call('HMGET', P .. 'credits', 'state', 'low_told')
  local from = was[1] or 'open'
  if from == to then return end
  local listed
  for _, known in ipairs(TRANSITIONS[from .. ' ' .. to] or {}) do listed = listed or known == cause end
  if not listed then error('no such change of the state of credits: ' .. from .. ' ' .. to .. ' ' .. cause) end
  redis.call('HSET', P .. 'credits', 'state', to, 'state_since', now)
  local event = ''
  if to == 'held' then event = 'credits.held'
  elseif from == 'held' then event = 'credits.resumed'
  elseif to == 'low' and not was[2] then event = 'credits.low' end
  if to == 'low' then redis.call('HSET', P .. 'credits', 'low_told', 1) end
  if to == 'open' then redis.call('HDEL', P .. 'credits', 'low_told') end
  -- The same change of the same Redis has the same id, whoever tells of it.
  local n = redis.call('HINCRBY', P .. 'credits', 'events', 1)
  local id = 'evt_' .. string.sub(redis.sha1hex((redis.call('GET', P .. 'generation') or '') .. ' credits ' .. n), 1, 26)
  local balance, floor = credits_number('balance') or '', limit('floor') or ''
  redis.call('XADD', P .. 'credit-events', 'MAXLEN', '~', MOST_EVENTS, '*', 'id', id, 'type', event, 'from', from, 'to', to,
    'cause', cause, 'at', now, 'balance', balance, 'floor', floor)
  if event == '' then return end
  local credits = { from = from, to = to, cause = cause, balance = whole(balance), floor = whole(floor) }
  tell_of_credits({ id = id, type = event, credits = credits }, now)
end

-- Brings the state to where it belongs, after anything that it depends on has changed.
--   cause  why a hold or a wait ended or began, where that is what changed
local function turn(now, cause)
  local credits = redis.call('HMGET', P .. 'credits', 'balance', 'uncertain', 'state', 'drain', 'low_told')
  local state = credits[3] or 'open'
  local low = limit('low')
  local left = credits[1] and tonumber(credits[1]) - tonumber(credits[2] or 0)
  -- Who was low is low until there is enough to resume, whatever came in between.
  local is_low = credits[5]
  if left and low then is_low = left < (is_low and math.max(low, limit('resume') or low) or low) end
  if state == 'open' and is_low then
    move('low', 'below_low', now)
  elseif state == 'low' and not is_low then
    move('open', cause == 'upstream_changed' and cause or 'recovered', now)
  end
  local hold = redis.call('HGET', P .. 'holds', 'credits')
  if hold then return move('held', cjson.decode(hold).cause or 'refused', now) end
  if state == 'held' or state == 'draining' and not credits[4] then move(is_low and 'low' or 'open', cause or 'enough', now) end
  if credits[4] then move('draining', 'floor_near', now) end
end

-- An image of this estimate would go below the floor: what is in flight is let end, and the balance is asked for.
local function drain(estimate, now)
  if redis.call('HEXISTS', P .. 'holds', 'credits') == 1 then return end
  local known = credits_number('drain')
  redis.call('HSET', P .. 'credits', 'drain', math.max(known or 0, estimate), 'drain_at', now)
  if not known then turn(now) end
end

local function drained(now, cause)
  if redis.call('HDEL', P .. 'credits', 'drain', 'drain_at') > 0 then turn(now, cause) end
end

-- Ends a wait that nobody is interested in any more. Who waits asks several times a second.
local function forget_drain(now)
  local asked = credits_number('drain_at')
  if asked and asked < now - ASKED_MS then drained(now, 'not_asked') end
end

local function release_credits(cause, now)
  if redis.call('HDEL', P .. 'holds', 'credits') == 0 then return false end
  turn(now, cause)
  return true
end
