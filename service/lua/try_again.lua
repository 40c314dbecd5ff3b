#!lua flags=allow-oom
-- Take a job off running after an error that may pass: into the queue for a later time, or failed when it has had its retries.
-- job, token, line (JSON: why), error (JSON), base_ms, most_ms, jitter (0 to 1), at, transitions
-- Answers {the new status}; to the token that did it, again. Cancel and pause come first.

local job = find_job(arg.job)
if repeated(job, arg.token, 'try_again') then return ok(job.ended_as) end
if not holds_lease(job, arg.token) then return refuse('lease_lost', arg.job, 'try_again') end
local target = flagged_target(job)
local counts = redis.call('HMGET', job.key, 'retries', 'retried')
local retried = tonumber(counts[2] or 0) + 1
if target == 'queued' and retried > tonumber(counts[1] or 3) then target = 'failed' end
if not may(job.status, target) then return refuse('illegal', job.id, 'try_again', job.status, job.requested) end

redis.call('HSET', job.key, 'retried', retried)
write_log(job, arg.line)
if target == 'failed' then
  redis.call('HSET', job.key, 'error', arg.error)
elseif target == 'queued' then
  local wait_ms = math.min(tonumber(arg.most_ms), arg.base_ms * 2 ^ (retried - 1)) * (0.5 + arg.jitter / 2)
  job.due_ms = whole(now_ms() + wait_ms)
  redis.call('HSET', job.key, 'due_ms', job.due_ms)
end
leave_running(job, target, arg.token, 'try_again', arg.at)
return ok(target)
