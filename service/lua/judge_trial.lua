#!lua flags=allow-oom
-- A trial's values up to an epoch have been looked at: it goes on, or it is to stop there. Its runner waits for that; a
-- job that has lost its runner meanwhile stops when it gets there again.
-- sweep, trial, job, epoch, stop (1 or none)
-- Answers {}.

local job, trial = find_job(arg.job), key('sweep', arg.sweep, 'trial', arg.trial)
if not job or redis.call('HGET', trial, 'pruned_at') then
  if not job or not ENDED[job.status] then redis.call('SREM', key('sweep', arg.sweep, 'news'), arg.trial) end
  return ok()
end
redis.call('HSET', job.key, 'judged', arg.epoch)
if not ENDED[job.status] then
  if tonumber(arg.epoch) >= redis.call('LLEN', key('job', job.id, 'metrics')) then
    redis.call('SREM', key('sweep', arg.sweep, 'news'), arg.trial)
  end
  if arg.stop then
    redis.call('HSET', trial, 'pruned_at', arg.epoch)
    redis.call('HSET', job.key, 'pruned', arg.epoch)
  end
end
redis.call('LPUSH', key('job', job.id, 'judged'), 1)
redis.call('LTRIM', key('job', job.id, 'judged'), 0, 0)
redis.call('EXPIRE', key('job', job.id, 'judged'), CLAIM_S)
return ok()
