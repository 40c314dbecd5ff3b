#!lua flags=allow-oom
-- A trial's values up to an epoch have been looked at: it goes on, or it is to stop there. Its runner waits for that; a
-- job that has lost its runner meanwhile stops when it gets there again. What has been looked at before stays as it was.
-- sweep, trial, job, epoch, stop (1 or none)
-- Answers {}.

local job, trial = find_job(arg.job), key('sweep', arg.sweep, 'trial', arg.trial)
if not job or redis.call('HGET', trial, 'pruned_at') then
  if not job or not ENDED[job.status] then redis.call('SREM', key('sweep', arg.sweep, 'news'), arg.trial) end
  return ok()
end
local known = redis.call('HMGET', job.key, 'judged', 'prunes')
local judged = math.max(tonumber(known[1] or 0), tonumber(arg.epoch))
if not ENDED[job.status] and judged >= redis.call('LLEN', key('job', job.id, 'metrics')) then
  redis.call('SREM', key('sweep', arg.sweep, 'news'), arg.trial)
end
if judged == tonumber(known[1] or 0) then return ok() end
redis.call('HSET', job.key, 'judged', whole(judged))
if arg.stop and known[2] and not ENDED[job.status] then -- one that was retried runs to its end
  redis.call('HSET', trial, 'pruned_at', arg.epoch)
  redis.call('HSET', job.key, 'pruned', arg.epoch)
end
redis.call('LPUSH', key('job', job.id, 'judged'), 1)
redis.call('LTRIM', key('job', job.id, 'judged'), 0, 0)
redis.call('EXPIRE', key('job', job.id, 'judged'), CLAIM_S)
return ok()
