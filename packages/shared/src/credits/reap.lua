-- Frees the slots of calls whose worker is gone; see settle.lua.
-- a: generation, trial_ms, settings? {floor, low, resume} (nanocredits; told where they are not known). Returns {lost = number of calls}.
-- include ../redis/guard.lua
-- include settle.lua
-- include holds.lua

local now = redis_now()
local expired, incidents = reap(now)
count_incidents(incidents, a.trial_ms, now)
if a.settings then tell_settings(a.settings, false) end
forget_drain(now)
turn(now)
return cjson.encode({ lost = #expired })
