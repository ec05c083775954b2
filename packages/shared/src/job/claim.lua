-- A worker took a ticket: what is there to do?
-- a: generation, id, ticket, trial_ms
-- Returns {verdict = 'void'}                     ended, unknown, or a ticket of an older generation: nothing to do
--       | {verdict = 'busy', ms}                 a call of this job is in flight elsewhere; ask again after ms
--       | {verdict = 'yours', job, lost?, now}   the job's hash; lost: a call whose worker is gone, with what is known
-- include ../redis/guard.lua
-- include ../credits/settle.lua
-- include ../credits/holds.lua
-- include ../batch/rows.lua

local now = redis_now()
local _, incidents = reap(now)
count_incidents(incidents, a.trial_ms, now)

local job = hash(P .. 'job:' .. a.id)
if not job or tonumber(job.ticket) ~= a.ticket then return cjson.encode({ verdict = 'void' }) end
if job.status ~= 'queued' and job.status ~= 'processing' then
  unfeed(a.id)
  return cjson.encode({ verdict = 'void' })
end
local lost
if job.call == '' and job.batch and not row_may_run(a.id, now) then return cjson.encode({ verdict = 'void' }) end
if job.call ~= '' then
  local lease = redis.call('ZSCORE', P .. 'slots', job.call)
  if lease then return cjson.encode({ verdict = 'busy', ms = math.max(lease - now, 50) }) end
  local entry = redis.call('HGET', P .. 'uncertain', job.call)
  lost = entry and cjson.decode(entry) or { estimate = 0 }
end
return cjson.encode({ verdict = 'yours', job = job, lost = lost, now = now })
