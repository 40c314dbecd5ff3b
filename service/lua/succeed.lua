#!lua flags=allow-oom
-- Finish a job with its model: both, or neither. It comes before any flag that is not yet obeyed.
-- job, token, result (JSON), model, document (JSON), path (of the model's file), fingerprint (its digest), at, transitions
-- Answers {}; to the token that did it, again.

local job = find_job(arg.job)
if repeated(job, arg.token, 'succeed') then return ok() end
if not holds_lease(job, arg.token) or not may(job.status, 'succeeded') then
  return refuse('lease_lost', arg.job, 'succeed')
end

redis.call('HSET', key('model', arg.model), 'tenant', job.tenant, 'document', arg.document)
redis.call('ZADD', key('models', job.tenant), redis.call('INCR', key('sequence')), arg.model)
if arg.path then redis.call('HSET', key('model-files'), arg.path, arg.model) end
redis.call('HSET', job.key, 'result', arg.result, 'model', arg.model)
local work = redis.call('HGET', job.key, 'work')
if work then
  redis.call('SET', key('work', job.tenant, work, arg.fingerprint), job.id)
  redis.call('HSET', job.key, 'kernels', arg.fingerprint)
end
redis.call('HDEL', job.key, 'checkpoint', 'checkpoint_before')
redis.call('DEL', key('job', job.id, 'checkpoints'))
leave_running(job, 'succeeded', arg.token, 'succeed', arg.at)
return ok()
