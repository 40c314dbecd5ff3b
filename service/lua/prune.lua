#!lua flags=allow-oom
-- Finish a trial's job that its sweep's pruner has stopped, with what it leaves. It comes before any flag that is not yet
-- obeyed.
-- job, token, result (JSON), at, transitions
-- Answers {}; to the token that did it, again.

local job = find_job(arg.job)
if repeated(job, arg.token, 'prune') then return ok() end
if not holds_lease(job, arg.token) or not may(job.status, 'cancelled') then return refuse('lease_lost', arg.job, 'prune') end

redis.call('HSET', job.key, 'result', arg.result)
leave_running(job, 'cancelled', arg.token, 'prune', arg.at)
return ok()
