#!lua flags=allow-oom
-- include sweeps
-- Cancel, pause or resume a sweep, and its jobs: some of them in each step, which is repeated until none is left.
-- stop: cancel those of its jobs that have not started; the sweep ends when the others have.
-- sweep, tenant (none: whoever's), verb (cancel | pause | resume | stop), cursor (0, then what was answered), count (of
-- jobs, about), follow (1: its state is this already, and only its jobs are to follow), at, transitions
-- Answers {the next cursor; 0: all have been looked at, fields}. The same verb again answers the same and changes nothing.

local sweep = find_sweep(arg.sweep, arg.tenant)
if not sweep then return refuse('sweep_not_found', arg.sweep) end
local target = ({cancel = 'cancelled', pause = 'paused', resume = 'running', stop = sweep.status})[arg.verb]
local known = redis.call('HMGET', sweep.key, 'started_ms', 'paused_since_ms', 'paused_ms')
if arg.verb == 'resume' and sweep.status == 'paused' and not known[1] then target = 'queued' end
local going = sweep.status == 'queued' and arg.verb == 'resume' and sweep.verb == 'resume'
if sweep.status ~= target and not going and (arg.follow or arg.cursor ~= '0') then
  return ok('0', sweep_fields(sweep.id)) -- it has been steered elsewhere meanwhile
end
if sweep.status ~= target and not going then
  if ENDED[sweep.status] or (arg.verb == 'resume' and sweep.status ~= 'paused') then
    return refuse('illegal_sweep', sweep.id, arg.verb, sweep.status)
  end
  if arg.verb == 'pause' then redis.call('HSET', sweep.key, 'paused_since_ms', whole(now_ms())) end
  if known[2] and arg.verb ~= 'pause' then
    redis.call('HDEL', sweep.key, 'paused_since_ms')
    redis.call('HINCRBY', sweep.key, 'paused_ms', whole(now_ms() - known[2]))
  end
  redis.call('HSET', sweep.key, 'verb', arg.verb)
  move_sweep(sweep, target, arg.at)
elseif arg.verb == 'resume' and sweep.verb ~= 'resume' then
  return refuse('illegal_sweep', sweep.id, arg.verb, sweep.status)
end

local found = redis.call('SSCAN', key('sweep', sweep.id, 'live'), arg.cursor, 'COUNT', arg.count)
for _, id in ipairs(found[2]) do
  local job = find_job(id)
  local to, flag
  if arg.verb == 'resume' then
    if job.status == 'paused' then to = 'queued' elseif job.requested == 'pause' then flag = '' end
  elseif arg.verb == 'pause' then
    if job.status == 'queued' then to = 'paused' elseif job.status == 'running' and job.requested == '' then flag = 'pause' end
  elseif job.status ~= 'running' then
    to = 'cancelled'
  elseif arg.verb == 'cancel' and job.requested ~= 'cancel' then
    flag = 'cancel'
  end
  if to or flag then
    redis.call('HSET', job.key, 'verb', arg.verb == 'stop' and 'cancel' or arg.verb)
    if to then
      if may(job.status, to) then move(job, to, arg.at) end
    elseif flag == '' then
      redis.call('HDEL', job.key, 'requested')
    else
      redis.call('HSET', job.key, 'requested', flag)
    end
    emit_status(job)
  end
end
return ok(found[1], sweep_fields(sweep.id))
