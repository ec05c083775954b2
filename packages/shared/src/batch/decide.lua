-- Puts a decision about a batch into force, unless a later one is.
-- a: generation, id, decision. Returns {known}
-- include ../redis/guard.lua
-- include rows.lua
-- include apply-decision.lua

if redis.call('EXISTS', P .. 'batch:' .. a.id) == 0 then return cjson.encode({ known = false }) end
apply_decision(a.id, a.decision, redis_now())
return cjson.encode({ known = true })
