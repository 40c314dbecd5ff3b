#!lua flags=allow-oom
-- Finish a job that cannot succeed, with what went wrong. It comes before any flag that is not yet obeyed.
-- job, token, error (JSON), at, transitions
-- Answers {}; to the token that did it, again.

local job = find_job(arg.job)
if repeated(job, arg.token, 'fail') then return ok() end
if not holds_lease(job, arg.token) or not may(job.status, 'failed') then return refuse('lease_lost', arg.job, 'fail') end

redis.call('HSET', job.key, 'error', arg.error)
leave_running(job, 'failed', arg.token, 'fail', arg.at)
return ok()
