#!lua flags=allow-oom
-- Forget an ended job whose record has been put into the archive, unless something has happened to it since.
-- job, last_event (of the record as it was archived)
-- Answers {1 or 0: whether it is forgotten now}.

local job = find_job(arg.job)
if job and job.sweep ~= '' then
  local trial = redis.call('HGET', key('job', arg.job), 'trial')
  if redis.call('ZSCORE', key('sweep', job.sweep, 'open'), trial) then return ok(0) end -- nobody has looked at its end
end
if not job or not ENDED[job.status] or redis.call('HGET', job.key, 'last_event') ~= arg.last_event then return ok(0) end
if redis.call('EXISTS', key('job', job.id, 'dependants')) == 1 then return ok(0) end -- they are settled first

redis.call('ZREM', key('jobs', job.tenant), job.id)
redis.call('ZREM', key('jobs-by-status', job.tenant, job.status), job.id)
for _, tag in ipairs(cjson.decode(job.tags)) do redis.call('ZREM', key('jobs-by-tag', job.tenant, tag), job.id) end
redis.call('ZREM', key('ended'), job.id)
if job.sweep ~= '' then redis.call('ZREM', key('jobs-by-sweep', job.sweep), job.id) end
local known = redis.call('HMGET', job.key, 'work', 'kernels')
local work = known[1] and known[2] and key('work', job.tenant, known[1], known[2])
if work and redis.call('GET', work) == job.id then redis.call('DEL', work) end
redis.call('UNLINK', job.key, key('job', job.id, 'metrics'), key('job', job.id, 'events'), key('job', job.id, 'logs'),
           key('job', job.id, 'checkpoints'))
return ok(1)
