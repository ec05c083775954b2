-- Uncertain calls of which the store does not know yet, or no longer as they are. The store's notes outlive Redis.
-- a: generation, most
-- Returns {write = [[call, JSON], …] or nothing, remove = [call, …] or nothing}
-- include ../redis/guard.lua

local write, remove = {}, {}
local noted = hash(P .. 'noted') or {}
local calls = hash(P .. 'uncertain') or {}
for call, text in pairs(calls) do
  if noted[call] ~= redis.sha1hex(text) and #write < a.most then write[#write + 1] = { call, text } end
end
for call in pairs(noted) do
  if not calls[call] and #remove < a.most then remove[#remove + 1] = call end
end
return cjson.encode({ write = #write > 0 and write or nil, remove = #remove > 0 and remove or nil })
