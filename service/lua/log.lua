#!lua flags=allow-oom
-- Write one line into the job's log.
-- job, token, line (JSON)

local job = find_job(arg.job)
if not holds_lease(job, arg.token) then return refuse('lease_lost', arg.job, 'log') end
write_log(job, arg.line)
return ok()
