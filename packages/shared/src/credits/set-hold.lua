-- Sets a hold, or renews it; the time since when it stands is kept.
-- a: generation, name, detail, for_ms? (it ends by itself), trial_ms? (one call may be tried after that), unread? (for
--    credits: the balance could not be read)
-- Returns {new = whether it did not stand before}
-- include ../redis/guard.lua
-- include holds.lua

local now = redis_now()
local hold = { detail = a.detail, unread = a.unread, cause = a.unread and 'balance_unread' or 'refused' }
if a.for_ms then hold['until'] = now + a.for_ms end
if a.trial_ms then hold.trial_at = now + a.trial_ms end
return cjson.encode({ new = set_hold(a.name, hold, now) })
