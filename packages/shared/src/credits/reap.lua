-- Frees the slots of calls whose worker is gone; see settle.lua.
-- a: generation, trial_ms. Returns {lost = number of calls}.
-- include ../redis/guard.lua
-- include settle.lua
-- include holds.lua

local now = redis_now()
local expired, incidents = reap(now)
count_incidents(incidents, a.trial_ms, now)
return cjson.encode({ lost = #expired })
