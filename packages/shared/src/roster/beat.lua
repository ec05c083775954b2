-- A process tells that it is there, and hears who else is. It needs no mark: who waits for one is there, too, and so are
-- processes of other versions, all of which keep to this form.
-- a: id, entry (an object), since? (milliseconds since 1970; now if left out), forget_ms (after which one that is silent
--    is forgotten), leaves? (true: it goes)
-- Returns {since, processes = a list of {id, since, entry}, store? (the id of the store that what lies in this Redis belongs
--    to)}
-- include ../redis/guard.lua

local now = redis_now()
local key = P .. 'roster'
local since = a.since or now
if a.leaves then redis.call('HDEL', key, a.id)
else redis.call('HSET', key, a.id, cjson.encode({ at = now, since = since, entry = a.entry })) end
local processes = {}
for id, text in pairs(hash(key) or {}) do
  local told = cjson.decode(text)
  if now - told.at > a.forget_ms then redis.call('HDEL', key, id)
  else processes[#processes + 1] = { id = id, since = told.since, entry = told.entry } end
end
redis.call('PEXPIRE', key, 4 * a.forget_ms)

local store = redis.call('GET', P .. 'store')
local own = a.entry and a.entry.agreed.store
-- A Redis that was there before stores had ids, or whose word was taken back by hand.
if own and not store and not a.leaves and redis.call('EXISTS', P .. 'generation') == 1 then
  local contested = false
  for _, one in ipairs(processes) do
    local theirs = one.entry.agreed.store
    local older = one.since < since or one.since == since and one.id < a.id
    contested = contested or theirs and theirs ~= own and older
  end
  if not contested then
    redis.call('SET', P .. 'store', own)
    store = own
  end
end
return cjson.encode({ since = since, processes = #processes > 0 and processes or nil, store = store or nil })
