#!lua flags=no-writes
-- include sweeps
-- Whether all epochs of a running job have been looked at, where its sweep stops trials early.
-- job, token
-- Answers {1 or 0; 1 where it is to be stopped, or 0}.

local job = find_job(arg.job)
if not holds_lease(job, arg.token) then return refuse('lease_lost', arg.job, 'judged') end
local known = redis.call('HMGET', job.key, 'prunes', 'judged')
local sweep = job.sweep ~= '' and find_sweep(job.sweep)
local waits = known[1] and sweep and not ENDED[sweep.status]
              and tonumber(known[2] or 0) < redis.call('LLEN', key('job', job.id, 'metrics'))
return ok(waits and 0 or 1, job.requested == 'cancel' and 1 or 0)
