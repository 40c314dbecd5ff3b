#!lua flags=allow-oom
-- Finish a job with its model: both, or neither. It comes before any flag that is not yet obeyed.
-- job, token, result (JSON), model, document (JSON), at, transitions
-- Answers {}; to the token that did it, again.

local job = find_job(arg.job)
if repeated(job, arg.token, 'succeed') then return ok() end
if not holds_lease(job, arg.token) or not may(job.status, 'succeeded') then
  return refuse('lease_lost', arg.job, 'succeed')
end

redis.call('HSET', key('model', arg.model), 'tenant', job.tenant, 'document', arg.document)
redis.call('ZADD', key('models', job.tenant), redis.call('INCR', key('sequence')), arg.model)
redis.call('HSET', job.key, 'result', arg.result)
redis.call('HDEL', job.key, 'checkpoint', 'checkpoint_before')
leave_running(job, 'succeeded', arg.token, 'succeed', arg.at)
return ok()
