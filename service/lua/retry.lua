#!lua
-- Put a failed or cancelled job into the queue again, if its data sets are still those it was accepted with, and all
-- that it comes after can still succeed.
-- job, tenant, from (checkpoint | start), at, transitions
-- Answers {fields}. Again, while the job is where the first one brought it: the same.

local job = find_job(arg.job, arg.tenant)
if not job then return refuse('job_not_found', arg.job) end
local verb = 'retry from ' .. arg.from
local going = job.status == 'queued' or job.status == 'running'
if going and job.verb == verb then return ok(job_fields(job.id)) end
if not ENDED[job.status] or not may(job.status, 'queued') then
  return refuse('illegal', job.id, 'retry', job.status, job.requested)
end
if redis.call('EXISTS', key('dataset', job.dataset)) == 0 then return refuse('unknown_dataset', job.dataset) end
if job.validation ~= '' and redis.call('EXISTS', key('dataset', job.validation)) == 0 then
  return refuse('unknown_dataset', job.validation, '/data/validation_dataset')
end

local waits_for, dead = unfinished_parents(job, '')
if dead then return refuse('dead_parent', dead[1], dead[2] or '', '') end

redis.call('HSET', job.key, 'verb', verb)
if redis.call('HEXISTS', job.key, 'retried') == 1 then -- it was to wait after an error; not_before it still waits
  redis.call('HDEL', job.key, 'due_ms')
  job.due_ms = ''
end
redis.call('HDEL', job.key, 'retried', 'deaths', 'furthest', 'ran_ms', 'attempt_ms')
if redis.call('HEXISTS', job.key, 'prunes') == 1 then -- it is an ordinary job now, and waits for no pruner
  redis.call('HDEL', job.key, 'fuse')
  job.fuse = ''
end
await_parents(job, waits_for)
if arg.from == 'start' then
  redis.call('HDEL', job.key, 'checkpoint', 'checkpoint_before', 'metrics', 'progress')
  redis.call('DEL', key('job', job.id, 'metrics'), key('job', job.id, 'checkpoints'))
end
move(job, 'queued', arg.at)
emit_status(job)
return ok(job_fields(job.id))
