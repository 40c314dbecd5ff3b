#!lua flags=allow-oom
-- Take a job off running whose runner is gone, by the leader; its flags say where to, as for release.
-- job, token, beat (as the leader last saw it, or none where it knows that the runner died), epoch, line, at, transitions
-- error (JSON; where it is the job that may have killed its runner, or none), deaths (so many without progress: it fails)
-- Answers {the new status}, again to a repeat; {} where the lease has been renewed or ended meanwhile: nothing to do.

local epoch = present_epoch()
if tonumber(arg.epoch) < epoch then return refuse('epoch_lost', arg.epoch, whole(epoch)) end
local job = find_job(arg.job)
if repeated(job, arg.token, 'expire') then return ok(job.ended_as) end
if not holds_lease(job, arg.token) then return ok() end
if arg.beat and redis.call('HGET', job.key, 'beat') ~= arg.beat then return ok() end
local target, deaths, furthest = flagged_target(job), 0, 0
if arg.error then
  local known = redis.call('HMGET', job.key, 'progress', 'deaths', 'furthest')
  local step = known[1] and cjson.decode(known[1]).step or 0
  furthest = tonumber(known[3] or -1)
  deaths = step > furthest and 1 or tonumber(known[2] or 0) + 1
  furthest = math.max(step, furthest)
  if target == 'queued' and deaths >= tonumber(arg.deaths) then target = 'failed' end
end
if not may(job.status, target) then return refuse('illegal', job.id, 'expire', job.status, job.requested) end

if arg.error then
  redis.call('HSET', job.key, 'deaths', deaths, 'furthest', whole(furthest))
  redis.call('HDEL', job.key, 'fuse') -- if it kills its runners, it shall do so alone
  job.fuse = ''
end
write_log(job, arg.line)
if target == 'failed' then redis.call('HSET', job.key, 'error', arg.error) end
leave_running(job, target, arg.token, 'expire', arg.at)
return ok(target)
