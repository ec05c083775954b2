-- The credit ledger: the hash P..'credits', amounts in nanocredits.
--   balance     left by the last word we have; missing when never read
--   reserved    sum of the estimates of calls in flight (the hash P..'calls', leased in the sorted set P..'slots')
--   uncertain   sum of the estimates of calls whose outcome is unknown (the hash P..'uncertain') and not yet read back
--   spent       sum of what was settled as spent
--   seq         settlements and exact readings so far: a reading is quiet when seq did not move between its request's
--               start and its arrival
--   probed_seq  seq when the balance was asked for last. doubt: what was believed then (a time) is to be read anew before
--               the next call. ask: it is to be read soon, see resume.lua. untold: calls billed since anything told the balance
--   exact_*     the last exact reading, and net, unexplained, added: see reconcile.lua
--   state       see states.lua; drain, drain_at: an image of this estimate waits until calls in flight have ended
local function credits_number(field)
  return tonumber(redis.call('HGET', P .. 'credits', field) or nil)
end

-- The hash P..'policy' has what was set by hand (`floor`, `low`, `resume`, with the setting that it took the place of
-- as `over:…`), and what workers were told by their settings (`told:…`).
local function limit(name)
  local values = redis.call('HMGET', P .. 'policy', name, 'told:' .. name)
  return tonumber(values[1] or values[2] or nil)
end

-- What was set by hand holds until the setting itself is changed: the later of the two counts.
--   settings  {floor, low, resume}
--   anew      whether a worker starts; else only what is not known is told
local function tell_settings(settings, anew)
  for name, value in pairs(settings) do
    if anew or redis.call('HEXISTS', P .. 'policy', 'told:' .. name) == 0 then
      redis.call('HSET', P .. 'policy', 'told:' .. name, value)
      local over = redis.call('HGET', P .. 'policy', 'over:' .. name)
      if over and tonumber(over) ~= value then redis.call('HDEL', P .. 'policy', name, 'over:' .. name) end
    end
  end
end
