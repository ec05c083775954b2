-- These notes of uncertain calls were written, and these removed.
-- a: generation, written ([[call, JSON], …]), removed ([call, …])
-- include ../redis/guard.lua

for _, note in ipairs(a.written) do redis.call('HSET', P .. 'noted', note[1], redis.sha1hex(note[2])) end
for _, call in ipairs(a.removed) do redis.call('HDEL', P .. 'noted', call) end
return cjson.encode({})
