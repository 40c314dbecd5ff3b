#!lua flags=allow-oom
-- Take a job off running whose runner is gone, by the leader; its flags say where to, as for release.
-- job, token, beat (as the leader last saw it, or none where it knows that the runner died), epoch, line, at, transitions
-- Answers {the new status}, again to a repeat; {} where the lease has been renewed or ended meanwhile: nothing to do.

local epoch = present_epoch()
if tonumber(arg.epoch) < epoch then return refuse('epoch_lost', arg.epoch, whole(epoch)) end
local job = find_job(arg.job)
if repeated(job, arg.token, 'expire') then return ok(job.ended_as) end
if not holds_lease(job, arg.token) then return ok() end
if arg.beat and redis.call('HGET', job.key, 'beat') ~= arg.beat then return ok() end
local target = flagged_target(job)
if not may(job.status, target) then return refuse('illegal', job.id, 'expire', job.status, job.requested) end

write_log(job, arg.line)
leave_running(job, target, arg.token, 'expire', arg.at)
return ok(target)
