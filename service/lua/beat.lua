#!lua flags=allow-oom
-- Renew a lease, write the job's progress, bring back what is asked of it.
-- job, token, progress (JSON, or none), announce (or none: the record has the progress, but no event says so)
-- attempt_ms (for how long this attempt has run)
-- Answers {'' | cancel | pause}.

local job = find_job(arg.job)
if not holds_lease(job, arg.token) then return refuse('lease_lost', arg.job, 'beat') end

renew(job, arg.attempt_ms, arg.progress, arg.announce)
return ok(job.requested)
