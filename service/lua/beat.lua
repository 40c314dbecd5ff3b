#!lua flags=allow-oom
-- Renew a lease, write the job's progress, bring back what is asked of it.
-- job, token, progress (JSON, or none), announce (or none: the record has the progress, but no event says so)
-- attempt_ms (for how long this attempt has run)
-- Answers {'' | cancel | pause}.

local job = find_job(arg.job)
if not holds_lease(job, arg.token) then return refuse('lease_lost', arg.job, 'beat') end

redis.call('HINCRBY', job.key, 'beat', 1)
redis.call('HSET', job.key, 'attempt_ms', arg.attempt_ms, 'heard_ms', whole(now_ms()))
if arg.progress then
  redis.call('HSET', job.key, 'progress', arg.progress)
  if arg.announce then emit(job, 'progress', arg.progress) end
end
return ok(job.requested)
