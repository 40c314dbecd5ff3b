#!lua flags=no-writes
-- include sweeps
-- Whether the pruner of a running job's sweep has looked at an epoch, and stops the trial there.
-- job, token, epoch
-- Answers {1 or 0; 1 where it is to be stopped, or 0}.

local job = find_job(arg.job)
if not holds_lease(job, arg.token) then return refuse('lease_lost', arg.job, 'judged') end
local known = redis.call('HMGET', job.key, 'prunes', 'judged')
local sweep = job.sweep ~= '' and find_sweep(job.sweep)
local waits = known[1] and sweep and not ENDED[sweep.status] and tonumber(known[2] or 0) < tonumber(arg.epoch)
local stopped = job.pruned ~= '' and tonumber(job.pruned) <= tonumber(arg.epoch)
return ok(waits and 0 or 1, stopped and 1 or 0)
