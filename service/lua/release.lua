#!lua flags=allow-oom
-- Take a job off running unfinished, by its runner: its flags say where to, without one back into the queue.
-- job, token, line (JSON: why), at, transitions, pause (1: paused rather than queued)
-- Answers {the new status}; to the token that did it, again.

local job = find_job(arg.job)
if repeated(job, arg.token, 'release') then return ok(job.ended_as) end
if not holds_lease(job, arg.token) then return refuse('lease_lost', arg.job, 'release') end
local target = flagged_target(job)
if target == 'queued' and arg.pause then target = 'paused' end
if not may(job.status, target) then return refuse('illegal', job.id, 'release', job.status, job.requested) end

write_log(job, arg.line)
leave_running(job, target, arg.token, 'release', arg.at)
return ok(target)
