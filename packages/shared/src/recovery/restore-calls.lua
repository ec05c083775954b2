-- Puts calls back into the books whose outcome is unknown. The balance is doubted until it is read again.
-- a: generation, calls (list of {call, entry}, entries as settle.lua keeps them)
-- Returns {restored}
-- include ../redis/guard.lua
-- include ../credits/books.lua
-- include ../batch/rows.lua

local now, restored = redis_now(), 0
for _, note in ipairs(a.calls) do
  local entry = note.entry
  -- The job that it belongs to was told of it, or is gone; nothing is reserved for it.
  local booked = entry.charged
  entry.charged, entry.of_batch, entry.of_key, entry.net = true, nil, nil, nil
  -- Every balance that is read from now on holds already what such a call has cost. No balance holds one of an upstream
  -- that we work for no more.
  entry.resolved = entry.upstream ~= nil or entry.resolve_after <= now
  entry.compared, entry.net_then = entry.resolved and 'unseen' or nil, nil
  if redis.call('HSETNX', P .. 'uncertain', note.call, cjson.encode(entry)) == 1 then
    if not entry.resolved then redis.call('HINCRBY', P .. 'credits', 'uncertain', entry.estimate) end
    -- It was lost, and nobody had been charged for it yet.
    if not booked then book(entry.account, (row_of(entry.job)), entry.estimate, 0, now) end
    restored = restored + 1
  end
end
redis.call('HSET', P .. 'credits', 'doubt', 1)
return cjson.encode({ restored = restored })
