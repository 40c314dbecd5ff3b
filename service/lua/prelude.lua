-- What the steps share. Python puts it after the first line of each; only what is called here or there costs time.
--
-- A step takes no KEYS: it makes them from ids by `key` (one server, never a cluster) and its arguments by name:
-- ARGV = name, value, name, value …  It answers {'ok', …} or {'refused', code, words …} (service/refusals.py).
-- JSON passes through as text: Lua's numbers would change it.

local arg = {}
for i = 1, #ARGV, 2 do arg[ARGV[i]] = ARGV[i + 1] end

local QUEUE_STRIDE = 2199023255552 -- 2^41 sequence numbers lie between two priorities
local EVENTS_KEPT = 2000
local TENANT_EVENTS_KEPT = 20000
local LOGS_KEPT = 1000
local WARNINGS_BYTES = 16384
local IDEMPOTENCY_S = 86400
local CLAIM_S = 120 -- of a job that is claimed and never started, the leader sees soon that nobody runs it
local EVENTS_KEPT_S = 86400 -- after a job's end
local ENDED = {succeeded = true, failed = true, cancelled = true}

local function key(...)
  local parts = {'deltaq'}
  for _, part in ipairs({...}) do
    parts[#parts + 1] = string.gsub(string.gsub(part, '%%', '%%25'), ':', '%%3A')
  end
  return table.concat(parts, ':')
end

local function ok(...) return {'ok', ...} end
local function refuse(code, ...) return {'refused', code, ...} end

-- Whole numbers beyond 10^14 as Redis must get them: Lua's own text of them is rounded.
local function whole(number) return string.format('%.0f', number) end

-- TRANSITIONS of service/jobs.py comes as ' queued>running queued>paused … '.
local function may(from, to)
  return string.find(arg.transitions, ' ' .. from .. '>' .. to .. ' ', 1, true) ~= nil
end

-- Jobs ----------------------------------------------------------------------------------------------------------

-- What the steps need to know of a job, or nil; of another tenant's (when a tenant is given) nil as well.
local function find_job(id, tenant)
  local names = {'tenant', 'status', 'sequence', 'priority', 'width', 'dataset', 'validation', 'token', 'requested', 'verb',
                 'ended_by', 'ended_verb', 'ended_as', 'attempt', 'tags', 'due_ms', 'after', 'heard_ms', 'fuse', 'population',
                 'sweep', 'pruned'}
  local values = redis.call('HMGET', key('job', id), unpack(names))
  if not values[1] or (tenant and values[1] ~= tenant) then return nil end
  local job = {id = id, key = key('job', id)}
  for i, name in ipairs(names) do job[name] = values[i] or '' end
  return job
end

local function quoted_or_null(word)
  if not word or word == '' then return 'null' end
  return '"' .. word .. '"'
end

local hinted = {} -- jobs: a step is read whole, so that one hint of each is enough
local function emit(job, kind, data)
  local id = redis.call('XADD', key('job', job.id, 'events'), 'MAXLEN', EVENTS_KEPT, '*', 'type', kind, 'data', data)
  redis.call('XADD', key('events', job.tenant), 'MAXLEN', '~', TENANT_EVENTS_KEPT, '*', 'job', job.id, 'type', kind, 'data', data)
  if not hinted[job.id] then redis.call('PUBLISH', key('hints'), job.tenant .. ' ' .. job.id) end
  hinted[job.id] = true
  return id
end

-- The job's public status line, as its record stands now.
local function emit_status(job)
  local now = redis.call('HMGET', job.key, 'status', 'attempt', 'requested', 'started_at', 'finished_at', 'result', 'error')
  local id = emit(job, 'status', table.concat({
    '{"id":"', job.id, '","status":"', now[1], '","attempt":', now[2],
    ',"requested":', quoted_or_null(now[3]), ',"started_at":', quoted_or_null(now[4]),
    ',"finished_at":', quoted_or_null(now[5]), ',"result":', now[6] or 'null', ',"error":', now[7] or 'null', '}'}))
  if ENDED[now[1]] then
    redis.call('HSET', job.key, 'last_event', id)
    redis.call('EXPIRE', key('job', job.id, 'events'), EVENTS_KEPT_S)
  else
    redis.call('PERSIST', key('job', job.id, 'events'))
  end
end

local function wake()
  if arg.quiet then return end
  redis.call('LPUSH', key('wake'), 1)
  redis.call('LTRIM', key('wake'), 0, 0)
end

-- The queue ------------------------------------------------------------------------------------------------------

local function now_ms()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- The queued jobs that can be trained as one population with this one: with the same fusion key, at the same step.
local function fusable(job)
  local checkpoint = redis.call('HGET', job.key, 'checkpoint') or ''
  return key('fusable', job.tenant, job.width, job.fuse, string.match(checkpoint, '"step":(%d+)') or '0')
end

local function queue_score(job) return job.sequence - job.priority * QUEUE_STRIDE end

local function priority_of(score) return -math.floor(score / QUEUE_STRIDE) end

-- A queued job waits for other jobs, else until its time, else for slots.
local function enqueue(job)
  if redis.call('EXISTS', key('job', job.id, 'parents')) == 1 then return end
  if job.due_ms ~= '' and tonumber(job.due_ms) > now_ms() then
    redis.call('ZADD', key('later'), job.due_ms, job.id)
  else
    if job.due_ms ~= '' then redis.call('HDEL', job.key, 'due_ms') end
    redis.call('ZADD', key('queue', job.tenant, job.width), whole(queue_score(job)), job.id)
    if job.fuse ~= '' then redis.call('ZADD', fusable(job), whole(queue_score(job)), job.id) end
    redis.call('ZADD', key('queue-widths', job.tenant), job.width, job.width)
    redis.call('SADD', key('queue-tenants'), job.tenant)
  end
  wake()
end

local function dequeue(job)
  redis.call('ZREM', key('later'), job.id)
  redis.call('ZREM', key('queue', job.tenant, job.width), job.id)
  if job.fuse ~= '' then redis.call('ZREM', fusable(job), job.id) end
  if redis.call('EXISTS', key('queue', job.tenant, job.width)) == 0 then
    redis.call('ZREM', key('queue-widths', job.tenant), job.width)
    if redis.call('EXISTS', key('queue-widths', job.tenant)) == 0 then redis.call('SREM', key('queue-tenants'), job.tenant) end
  end
end

-- What a tenant's running jobs take, and which claim was its last.
local function share_of(tenant)
  local found = redis.call('HMGET', key('tenant', tenant), 'jobs', 'slots', 'served')
  return {tenant = tenant, jobs = tonumber(found[1] or 0), slots = tonumber(found[2] or 0), served = tonumber(found[3] or 0)}
end

-- Whether a queued job goes before another: by priority, then who has fewer running workers, then who was served
-- longer ago, then by age. Each is {score, share}.
local function goes_before(one, other)
  local mine, theirs = priority_of(one.score), priority_of(other.score)
  if mine ~= theirs then return mine > theirs end
  if one.share.slots ~= other.share.slots then return one.share.slots < other.share.slots end
  if one.share.served ~= other.share.served then return one.share.served < other.share.served end
  return one.score < other.score
end

local function count_queued(tenant, from, to)
  local count = 0
  for _, width in ipairs(redis.call('ZRANGE', key('queue-widths', tenant), 0, -1)) do
    count = count + redis.call('ZCOUNT', key('queue', tenant, width), from, to)
  end
  return count
end

-- What is in line at one priority: how many go before all of it, and of each tenant its share and its jobs there. A step
-- that shows many jobs looks at it once.
local lines = {}
local function line_of(priority)
  if lines[priority] then return lines[priority] end
  local first = -priority * QUEUE_STRIDE
  local line = {first = first, before = 0, tenants = {}}
  for _, tenant in ipairs(redis.call('SMEMBERS', key('queue-tenants'))) do
    line.before = line.before + count_queued(tenant, '-inf', '(' .. whole(first))
    line.tenants[tenant] = {share = share_of(tenant), count = count_queued(tenant, whole(first), '(' .. whole(first + QUEUE_STRIDE))}
  end
  lines[priority] = line
  return line
end

-- How many queued jobs go before this one, if nothing else comes: its own tenant's in their order, all of a higher
-- priority, and of each other tenant as many of the same priority as take turns with those.
local function queue_position(job)
  local line = line_of(tonumber(job.priority))
  local own = count_queued(job.tenant, whole(line.first), '(' .. whole(queue_score(job)))
  local before, mine = line.before + own, {score = line.first, share = share_of(job.tenant)}
  for tenant, other in pairs(line.tenants) do
    if tenant ~= job.tenant then
      local turns = own + (goes_before({score = line.first, share = other.share}, mine) and 1 or 0)
      before = before + math.min(turns, other.count)
    end
  end
  return before
end

-- How a job stands now, as {name, value} or {}: its place in line for slots, or the jobs that it waits for; while it
-- runs, for how long it has not been heard of.
local function standing(job)
  if job.status == 'running' and job.heard_ms ~= '' then return {'silent_ms', whole(now_ms() - job.heard_ms)} end
  if job.status ~= 'queued' then return {} end
  local waits_for = redis.call('SMEMBERS', key('job', job.id, 'parents'))
  if #waits_for > 0 then return {'waits_for', table.concat(waits_for, ' ')} end
  if not redis.call('ZSCORE', key('queue', job.tenant, job.width), job.id) then return {} end
  return {'queue_position', whole(queue_position(job))}
end

-- The record of a job as {name, value, …}, with how it stands, and whether its model has been deleted.
local function job_fields(id)
  local fields = redis.call('HGETALL', key('job', id))
  for _, word in ipairs(standing(find_job(id))) do fields[#fields + 1] = word end
  local model = redis.call('HGET', key('job', id), 'model')
  if model and redis.call('EXISTS', key('model', model)) == 0 then
    fields[#fields + 1] = 'model_gone'
    fields[#fields + 1] = '1'
  end
  return fields
end

-- Those of the jobs that a job comes after that have not succeeded yet; `done` have, long ago.
-- Answers them; or nil and {the first that can no longer succeed or is not there, its state or nil, its place in `after`}.
local function unfinished_parents(job, done)
  local waits_for, place = {}, 0
  for parent in string.gmatch(job.after, '%S+') do
    local found = find_job(parent, job.tenant)
    if not string.find(done, parent, 1, true) then
      if not found or found.status == 'failed' or found.status == 'cancelled' then
        return nil, {parent, found and found.status, whole(place)}
      end
      if found.status ~= 'succeeded' then waits_for[#waits_for + 1] = parent end
    end
    place = place + 1
  end
  return waits_for
end

-- Have a job wait for these.
local function await_parents(job, waits_for)
  if #waits_for == 0 then
    redis.call('HDEL', job.key, 'after')
    return
  end
  redis.call('HSET', job.key, 'after', table.concat(waits_for, ' '))
  for _, parent in ipairs(waits_for) do
    redis.call('SADD', key('job', job.id, 'parents'), parent)
    redis.call('SADD', key('job', parent, 'dependants'), job.id)
  end
end

local function count_all_queued()
  local count = 0
  for _, tenant in ipairs(redis.call('SMEMBERS', key('tenants'))) do
    count = count + redis.call('ZCARD', key('jobs-by-status', tenant, 'queued'))
  end
  return count
end

-- The data sets that a job reads know it while it lives: what is used is not deleted. The command: SADD or SREM.
local function use_datasets(job, command)
  redis.call(command, key('dataset', job.dataset, 'jobs'), job.id)
  if job.validation ~= '' then redis.call(command, key('dataset', job.validation, 'jobs'), job.id) end
end

-- Sweeps --------------------------------------------------------------------------------------------------------

-- Have the sweeper look at a sweep, and at one of its trials or none.
local function sweep_changed(id, trial)
  if trial then redis.call('SADD', key('sweep', id, 'news'), trial) end
  redis.call('SADD', key('sweeps-changed'), id)
  redis.call('LPUSH', key('sweeper-wake'), 1)
  redis.call('LTRIM', key('sweeper-wake'), 0, 0)
end

-- Move a job to another state, with everything that hangs on its state: the indexes, the queue, the use of its data.
-- The caller has checked that it may; the status event is its last write.
local function move(job, to, at)
  redis.call('ZREM', key('jobs-by-status', job.tenant, job.status), job.id)
  redis.call('ZADD', key('jobs-by-status', job.tenant, to), job.sequence, job.id)
  redis.call('HSET', job.key, 'status', to)
  if job.status == 'queued' then dequeue(job) end
  if to == 'queued' then enqueue(job) end
  if ENDED[to] then
    redis.call('HSET', job.key, 'finished_at', at)
    use_datasets(job, 'SREM')
    redis.call('ZADD', key('ended'), now_ms(), job.id)
    redis.call('DEL', key('job', job.id, 'parents'))
    if job.sweep ~= '' then
      redis.call('SREM', key('sweep', job.sweep, 'live'), job.id)
      sweep_changed(job.sweep, redis.call('HGET', job.key, 'trial'))
    end
    if redis.call('EXISTS', key('job', job.id, 'dependants')) == 1 then
      redis.call('RPUSH', key('unsettled'), job.id)
      wake()
    end
  elseif ENDED[job.status] then
    redis.call('HDEL', job.key, 'finished_at', 'result', 'error', 'last_event', 'pruned', 'prunes')
    if job.sweep ~= '' then redis.call('SADD', key('sweep', job.sweep, 'live'), job.id) end
    if redis.call('EXISTS', key('job', job.id, 'events')) == 0 then redis.call('HSET', job.key, 'events_lost', 1) end
    redis.call('ZREM', key('ended'), job.id)
    use_datasets(job, 'SADD')
  end
  job.status = to
end

-- Models --------------------------------------------------------------------------------------------------------

-- The tenant's model that `model` (an id) or else `alias` names, and its document; or nil, and the refusal.
local function find_model()
  local id = arg.model or redis.call('HGET', key('alias', arg.tenant, arg.alias), 'model')
  local record = id and redis.call('HMGET', key('model', id), 'tenant', 'document') or {}
  if record[1] ~= arg.tenant then return nil, refuse('model_not_found', arg.model or arg.alias) end
  return id, record[2]
end

-- Leases --------------------------------------------------------------------------------------------------------

local function holds_lease(job, token) return job ~= nil and job.status == 'running' and job.token == token end

-- Whether this very step was done before with this token, and its answer lost.
local function repeated(job, token, verb)
  return job ~= nil and job.ended_by == token and job.ended_verb == verb
end

-- A population takes what one job takes: `count` is 1 when the first of it is given, and -1 when the last is over.
local function take_share(job, count)
  redis.call('HINCRBY', key('tenant', job.tenant), 'jobs', count)
  redis.call('HINCRBY', key('tenant', job.tenant), 'slots', count * job.width)
end

local function leave_population(job)
  redis.call('HDEL', job.key, 'population')
  redis.call('SREM', key('population', job.population), job.id)
  return redis.call('EXISTS', key('population', job.population)) == 0
end

-- Take a job off running: the lease and every flag end here, and the token that ended it is kept for a repeat.
local function leave_running(job, to, token, verb, at)
  redis.call('HDEL', job.key, 'token', 'beat', 'epoch', 'requested', 'heard_ms')
  redis.call('HSET', job.key, 'ended_by', token, 'ended_verb', verb, 'ended_as', to)
  redis.call('SREM', key('running'), job.id)
  if job.population == '' or leave_population(job) then take_share(job, -1) end
  move(job, to, at)
  wake() -- slots are free
  emit_status(job)
end

-- Finish the job of these arguments for good, by who holds its lease, with what it leaves.
local function finish(verb, to, leaves)
  local job = find_job(arg.job)
  if repeated(job, arg.token, verb) then return ok() end
  if not holds_lease(job, arg.token) or not may(job.status, to) then return refuse('lease_lost', arg.job, verb) end
  redis.call('HSET', job.key, leaves, arg[leaves])
  leave_running(job, to, arg.token, verb, arg.at)
  return ok()
end

-- Where a job goes that is taken off running unfinished: cancel over pause over back into the queue.
local function flagged_target(job)
  if job.requested == 'cancel' then return 'cancelled' end
  if job.requested == 'pause' then return 'paused' end
  return 'queued'
end

-- Renew a lease; the progress is shown to who watches as well where it is to be announced.
local function renew(job, attempt_ms, progress, announce)
  redis.call('HINCRBY', job.key, 'beat', 1)
  redis.call('HSET', job.key, 'attempt_ms', attempt_ms, 'heard_ms', whole(now_ms()))
  if progress then
    redis.call('HSET', job.key, 'progress', progress)
    if announce then emit(job, 'progress', progress) end
  end
end

-- Record the metrics of epochs that follow one another, from epoch `first` (JSON, one a line), each once.
-- Answers how many were recorded now; or nil and the epoch that is the next to record, where one is left out.
local function record_rows(job, first, rows)
  local list = key('job', job.id, 'metrics')
  local next_epoch = redis.call('LLEN', list) + 1
  local epoch, recorded, latest = tonumber(first), 0, nil
  if epoch > next_epoch then return nil, whole(next_epoch) end
  for row in string.gmatch(rows, '[^\n]+') do
    if epoch >= next_epoch then
      redis.call('RPUSH', list, row)
      emit(job, 'metrics', row)
      recorded, latest = recorded + 1, row
    end
    epoch = epoch + 1
  end
  if latest then redis.call('HSET', job.key, 'metrics', latest) end
  if job.sweep ~= '' and recorded > 0 then
    local known = redis.call('HMGET', job.key, 'prunes', 'trial')
    if known[1] then sweep_changed(job.sweep, known[2]) end
  end
  return recorded
end

local function write_log(job, line)
  local number = redis.call('HINCRBY', job.key, 'log_lines', 1)
  redis.call('XADD', key('job', job.id, 'logs'), 'MAXLEN', LOGS_KEPT, whole(number) .. '-0', 'line', line)
  emit(job, 'log', line)
end

-- Leadership ----------------------------------------------------------------------------------------------------

local function present_epoch() return tonumber(redis.call('HGET', key('leader'), 'epoch') or 0) end

-- Lists ---------------------------------------------------------------------------------------------------------

-- Members of a zset below a sequence number, highest first.
local function newest_below(index, before, count)
  return redis.call('ZREVRANGEBYSCORE', index, before == '' and '+inf' or '(' .. before, '-inf',
                    'WITHSCORES', 'LIMIT', 0, count)
end
