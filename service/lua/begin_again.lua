#!lua flags=allow-oom
-- Forget a running job's newest checkpoint, which cannot be continued to the same bits: an older one that was kept takes
-- its place; without one the job forgets what it has reached. Its log says why.
-- job, token, lost (the checkpoint, JSON), line (JSON)
-- Answers {the checkpoint that it has now, or ''}, again to a repeat.

local job = find_job(arg.job)
if not holds_lease(job, arg.token) then return refuse('lease_lost', arg.job, 'begin_again') end
local newest = redis.call('HGET', job.key, 'checkpoint')
if newest ~= arg.lost then return ok(newest or '') end

local older = redis.call('RPOP', key('job', job.id, 'checkpoints'))
redis.call('HDEL', job.key, 'checkpoint_before')
if older then
  redis.call('HSET', job.key, 'checkpoint', older)
else
  redis.call('HDEL', job.key, 'checkpoint', 'metrics', 'progress')
  redis.call('DEL', key('job', job.id, 'metrics'))
end
write_log(job, arg.line)
return ok(older or '')
