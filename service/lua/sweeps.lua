-- What the steps of sweeps and their trials share, after prelude.lua: for those whose second line asks for it.

-- What the steps need to know of a sweep, or nil; of another tenant's (when a tenant is given) nil as well.
local function find_sweep(id, tenant)
  local names = {'tenant', 'status', 'sequence', 'trials', 'asked', 'datasets', 'verb'}
  local values = redis.call('HMGET', key('sweep', id), unpack(names))
  if not values[1] or (tenant and values[1] ~= tenant) then return nil end
  local sweep = {id = id, key = key('sweep', id)}
  for i, name in ipairs(names) do sweep[name] = values[i] or '' end
  return sweep
end

-- Its record as {name, value, …}, with how many of its trials have not ended, and its best one, or one of them.
local function sweep_fields(id)
  local fields = redis.call('HGETALL', key('sweep', id))
  fields[#fields + 1] = 'open'
  fields[#fields + 1] = whole(redis.call('ZCARD', key('sweep', id, 'open')))
  local best = redis.call('ZRANGE', key('sweep', id, 'best'), 0, 0)[1]
  if best then
    fields[#fields + 1] = 'best'
    fields[#fields + 1] = whole(tonumber(best))
  end
  return fields
end

local function emit_sweep(sweep)
  local now = redis.call('HMGET', sweep.key, 'status', 'asked', 'succeeded', 'failed', 'cancelled', 'pruned')
  for i = 2, 6 do now[i] = now[i] or '0' end
  redis.call('XADD', key('events', sweep.tenant), 'MAXLEN', '~', TENANT_EVENTS_KEPT, '*', 'sweep', sweep.id, 'type', 'sweep',
             'data', string.format('{"id":"%s","status":"%s","asked":%s,"succeeded":%s,"failed":%s,"cancelled":%s,"pruned":%s}',
                                   sweep.id, now[1], now[2], now[3], now[4], now[5], now[6]))
  redis.call('PUBLISH', key('hints'), sweep.tenant .. ' ' .. sweep.id)
end

-- Move a sweep to another state, with the use of its data; the caller has checked that it may.
local function move_sweep(sweep, to, at)
  redis.call('HSET', sweep.key, 'status', to)
  local command = ENDED[to] and 'SREM' or 'SADD'
  for dataset in string.gmatch(sweep.datasets, '%S+') do redis.call(command, key('dataset', dataset, 'sweeps'), sweep.id) end
  if ENDED[to] then redis.call('HSET', sweep.key, 'finished_at', at) else redis.call('HDEL', sweep.key, 'finished_at', 'error') end
  redis.call('SADD', key('sweeps-live'), sweep.id)
  sweep.status = to
  emit_sweep(sweep)
  sweep_changed(sweep.id)
end

-- Whether the trial of these arguments may be made now. Answers the job that was made for it already; or nil, a refusal.
local function admit_trial(sweep)
  local number, trial = tonumber(arg.trial), key('sweep', arg.sweep, 'trial', arg.trial)
  local jobs, known = {}, redis.call('HGET', trial, 'jobs')
  for id in string.gmatch(known or '', '%S+') do jobs[#jobs + 1] = id end
  if not sweep then return nil, refuse('sweep_not_found', arg.sweep) end
  local made = jobs[tonumber(arg.repetition) + 1]
  if made and find_job(made) then return made end
  local open = redis.call('ZCARD', key('sweep', sweep.id, 'open'))
  local next_one = known and tonumber(arg.repetition) == #jobs or not known and arg.repetition == '0' and number == tonumber(sweep.asked)
  local live = sweep.status == 'running' or sweep.status == 'queued'
  if not live or not next_one or (known and not redis.call('ZSCORE', key('sweep', sweep.id, 'open'), arg.trial))
     or (not known and (open >= tonumber(arg.parallel) or (sweep.trials ~= '' and number >= tonumber(sweep.trials)))) then
    return nil, refuse('no_trial', sweep.id, arg.trial, sweep.status)
  end
end

-- Make the trial of these arguments, with its first job or with none, or give it one more job.
local function record_trial(sweep, job)
  local trial = key('sweep', sweep.id, 'trial', arg.trial)
  local jobs = redis.call('HGET', trial, 'jobs')
  if jobs then
    redis.call('HSET', trial, 'jobs', jobs .. ' ' .. job)
    return trial
  end
  redis.call('HSET', trial, 'number', arg.trial, 'params', arg.params, 'attributes', arg.attributes,
             'study_attributes', arg.study_attributes, 'jobs', job, 'created_at', arg.at)
  if arg.parameters then redis.call('HSET', trial, 'parameters', arg.parameters) end
  redis.call('ZADD', key('sweep', sweep.id, 'open'), arg.trial, arg.trial)
  redis.call('HINCRBY', sweep.key, 'asked', 1)
  if sweep.status == 'queued' then
    redis.call('HSET', sweep.key, 'started_at', arg.at, 'started_ms', whole(now_ms()))
    move_sweep(sweep, 'running', arg.at)
  end
  return trial
end

-- Record what became of a trial.
local function end_trial(sweep, number, status, at)
  redis.call('HSET', key('sweep', sweep.id, 'trial', number), 'status', status, 'finished_at', at)
  redis.call('ZREM', key('sweep', sweep.id, 'open'), number)
  redis.call('SREM', key('sweep', sweep.id, 'news'), number)
  redis.call('HINCRBY', sweep.key, status, 1)
  emit_sweep(sweep)
  sweep_changed(sweep.id)
end
