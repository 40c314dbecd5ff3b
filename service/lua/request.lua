#!lua flags=allow-oom
-- Ask for a job to be cancelled or paused: at once where it waits, by a flag that the beat brings back where it runs.
-- job, tenant, verb (cancel | pause), target (cancelled | paused), at, transitions
-- Answers {fields}. The same verb again answers the same and changes nothing; a refusal leaves no mark.

local job = find_job(arg.job, arg.tenant)
if not job then return refuse('job_not_found', arg.job) end
if job.status == arg.target or job.requested == arg.verb then return ok(job_fields(job.id)) end
if not may(job.status, arg.target) or job.requested == 'cancel' then
  return refuse('illegal', job.id, arg.verb, job.status, job.requested)
end

redis.call('HSET', job.key, 'verb', arg.verb)
if job.status == 'running' then
  redis.call('HSET', job.key, 'requested', arg.verb)
else
  move(job, arg.target, arg.at)
end
emit_status(job)
return ok(job_fields(job.id))
