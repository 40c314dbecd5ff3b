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
local CLAIM_S = 3600
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
                 'ended_by', 'ended_verb', 'ended_as', 'attempt', 'tags'}
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

local function emit(job, kind, data)
  redis.call('XADD', key('job', job.id, 'events'), 'MAXLEN', EVENTS_KEPT, '*', 'type', kind, 'data', data)
  redis.call('XADD', key('events', job.tenant), 'MAXLEN', '~', TENANT_EVENTS_KEPT, '*', 'job', job.id, 'type', kind, 'data', data)
  redis.call('PUBLISH', key('hints'), job.tenant .. ' ' .. job.id)
end

-- The job's public status line, as its record stands now.
local function emit_status(job)
  local now = redis.call('HMGET', job.key, 'status', 'attempt', 'requested', 'started_at', 'finished_at', 'result', 'error')
  emit(job, 'status', table.concat({
    '{"id":"', job.id, '","status":"', now[1], '","attempt":', now[2],
    ',"requested":', quoted_or_null(now[3]), ',"started_at":', quoted_or_null(now[4]),
    ',"finished_at":', quoted_or_null(now[5]), ',"result":', now[6] or 'null', ',"error":', now[7] or 'null', '}'}))
end

local function wake()
  redis.call('LPUSH', key('wake'), 1)
  redis.call('LTRIM', key('wake'), 0, 0)
end

local function queue_score(job) return job.sequence - job.priority * QUEUE_STRIDE end

local function enqueue(job)
  redis.call('ZADD', key('queue', job.width), whole(queue_score(job)), job.id)
  redis.call('ZADD', key('queue-widths'), job.width, job.width)
  wake()
end

local function dequeue(job)
  redis.call('ZREM', key('queue', job.width), job.id)
  if redis.call('EXISTS', key('queue', job.width)) == 0 then redis.call('ZREM', key('queue-widths'), job.width) end
end

-- How many queued jobs go before this one.
local function queue_position(job)
  local before = 0
  for _, width in ipairs(redis.call('ZRANGE', key('queue-widths'), 0, -1)) do
    before = before + redis.call('ZCOUNT', key('queue', width), '-inf', '(' .. whole(queue_score(job)))
  end
  return before
end

-- The record of a job as {name, value, …}, with its place in the queue where it waits.
local function job_fields(id)
  local fields = redis.call('HGETALL', key('job', id))
  local job = find_job(id)
  if job.status == 'queued' then
    fields[#fields + 1] = 'queue_position'
    fields[#fields + 1] = tostring(queue_position(job))
  end
  return fields
end

-- The data sets that a job reads know it while it lives: what is used is not deleted. The command: SADD or SREM.
local function use_datasets(job, command)
  redis.call(command, key('dataset', job.dataset, 'jobs'), job.id)
  if job.validation ~= '' then redis.call(command, key('dataset', job.validation, 'jobs'), job.id) end
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
  elseif ENDED[job.status] then
    redis.call('HDEL', job.key, 'finished_at', 'result', 'error')
    use_datasets(job, 'SADD')
  end
  job.status = to
end

-- Leases --------------------------------------------------------------------------------------------------------

local function holds_lease(job, token) return job ~= nil and job.status == 'running' and job.token == token end

-- Whether this very step was done before with this token, and its answer lost.
local function repeated(job, token, verb)
  return job ~= nil and job.ended_by == token and job.ended_verb == verb
end

-- Take a job off running: the lease and every flag end here, and the token that ended it is kept for a repeat.
local function leave_running(job, to, token, verb, at)
  redis.call('HDEL', job.key, 'token', 'claim', 'beat', 'epoch', 'requested')
  redis.call('HSET', job.key, 'ended_by', token, 'ended_verb', verb, 'ended_as', to)
  redis.call('SREM', key('running'), job.id)
  move(job, to, at)
  wake() -- slots are free
  emit_status(job)
end

-- Where a job goes that is taken off running unfinished: cancel over pause over back into the queue.
local function flagged_target(job)
  if job.requested == 'cancel' then return 'cancelled' end
  if job.requested == 'pause' then return 'paused' end
  return 'queued'
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
