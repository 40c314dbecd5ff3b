#!lua flags=allow-oom
-- include sweeps
-- Record what became of a trial whose jobs have all ended, once.
-- sweep, trial, status, at; values, constraints, intermediate, error (JSON), fused_with, score (its place among the best,
-- lowest first), beaten (numbers of those that it drives out from there, a space between), models (ids of those that its jobs have made), or none of these
-- Answers {1, or 0 where it was known before, or one of its jobs is queued again}.

local sweep = find_sweep(arg.sweep)
local trial = key('sweep', arg.sweep, 'trial', arg.trial)
if not sweep or not redis.call('ZSCORE', key('sweep', arg.sweep, 'open'), arg.trial) then
  redis.call('SREM', key('sweep', arg.sweep, 'news'), arg.trial) -- of a job that has been retried since
  return ok(0)
end
for id in string.gmatch(redis.call('HGET', trial, 'jobs'), '%S+') do
  local job = find_job(id)
  if job and not ENDED[job.status] then
    redis.call('SREM', key('sweep', sweep.id, 'news'), arg.trial) -- its end will be
    return ok(0)
  end
end
for _, name in ipairs({'values', 'constraints', 'intermediate', 'error', 'fused_with'}) do
  if arg[name] then redis.call('HSET', trial, name, arg[name]) end
end
-- Of trials with the same score the one of the lowest number comes first.
if arg.score then redis.call('ZADD', key('sweep', sweep.id, 'best'), arg.score, string.format('%09d', arg.trial)) end
for number in string.gmatch(arg.beaten or '', '%S+') do
  redis.call('ZREM', key('sweep', sweep.id, 'best'), string.format('%09d', number))
end
if arg.models then redis.call('HSET', key('sweep', sweep.id, 'models'), arg.trial, arg.models) end
end_trial(sweep, arg.trial, arg.status, arg.at)
return ok(1)
