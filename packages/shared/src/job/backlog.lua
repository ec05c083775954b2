-- How many jobs wait for a ticket: those in line, and those that are parked because their model is held.
local function backlog()
  local waiting = redis.call('ZCARD', P .. 'waiting')
  for _, model in ipairs(redis.call('SMEMBERS', P .. 'parked')) do
    waiting = waiting + redis.call('ZCARD', P .. 'parked:' .. model)
  end
  return waiting
end
