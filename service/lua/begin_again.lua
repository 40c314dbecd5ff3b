#!lua flags=allow-oom
-- Forget what a running job has reached, because it cannot be continued to the same bits; its log says why.
-- job, token, line (JSON)
-- Answers {the checkpoint that it had, or ''}.

local job = find_job(arg.job)
if not holds_lease(job, arg.token) then return refuse('lease_lost', arg.job, 'begin_again') end

local checkpoint = redis.call('HGET', job.key, 'checkpoint') or ''
redis.call('HDEL', job.key, 'checkpoint', 'checkpoint_before', 'metrics', 'progress')
redis.call('DEL', key('job', job.id, 'metrics'))
write_log(job, arg.line)
return ok(checkpoint)
