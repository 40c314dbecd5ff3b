#!lua flags=allow-oom
-- Let a paused job go on; where it still runs and only was asked to pause, take the request back.
-- job, tenant, at, transitions
-- Answers {fields}. Again, while the job is where the first one brought it: the same.

local job = find_job(arg.job, arg.tenant)
if not job then return refuse('job_not_found', arg.job) end
local going = job.status == 'queued' or job.status == 'running'
if going and job.verb == 'resume' then return ok(job_fields(job.id)) end
local withdraw = job.status == 'running' and job.requested == 'pause'
if not withdraw and job.status ~= 'paused' then return refuse('illegal', job.id, 'resume', job.status, job.requested) end

redis.call('HSET', job.key, 'verb', 'resume')
if withdraw then redis.call('HDEL', job.key, 'requested') else move(job, 'queued', arg.at) end
emit_status(job)
return ok(job_fields(job.id))
