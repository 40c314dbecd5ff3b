#!lua flags=allow-oom
-- Give the leader the queued job that goes first of those whose width fits into the free slots, with a new lease.
-- epoch, free, claim (token of this very claim), random (128 bits in hex), at, transitions
-- population (how many jobs that can be trained as one may be given at a time; others of the best one's kind come with it)
-- hold (a job that the slots are held for: none but it and those of a higher priority are given, or none)
-- max_running (of one tenant's jobs, or none)
-- Answers {fields …} or {}: a job, and those that are to be trained with it. The same claim again (a lost reply) gives
-- the same jobs, while their leases last.

local epoch = present_epoch()
if tonumber(arg.epoch) < epoch then return refuse('epoch_lost', arg.epoch, whole(epoch)) end
local given = redis.call('LRANGE', key('claim', arg.claim), 0, -1)
if #given > 0 then
  local answer = {'ok'}
  for i = 1, #given, 2 do
    if redis.call('HGET', key('job', given[i]), 'token') == given[i + 1] then answer[#answer + 1] = job_fields(given[i]) end
  end
  return answer
end

local held = arg.hold and find_job(arg.hold)
local limit = tonumber(arg.max_running or '') or math.huge
if held and (not redis.call('ZSCORE', key('queue', held.tenant, held.width), held.id)
             or share_of(held.tenant).jobs >= limit) then held = nil end

local best
for _, tenant in ipairs(redis.call('SMEMBERS', key('queue-tenants'))) do
  local share = share_of(tenant)
  if share.jobs < limit then
    for _, width in ipairs(redis.call('ZRANGEBYSCORE', key('queue-widths', tenant), '-inf', arg.free)) do
      local head = redis.call('ZRANGE', key('queue', tenant, width), 0, 0, 'WITHSCORES')
      local candidate = {id = head[1], score = tonumber(head[2]), share = share}
      local allowed = not held or priority_of(candidate.score) > tonumber(held.priority)
      if allowed and (not best or goes_before(candidate, best)) then best = candidate end
    end
  end
end
if not best and held and tonumber(held.width) <= tonumber(arg.free) then best = held end
if not best then return ok() end
local job = find_job(best.id)
if not may(job.status, 'running') then return refuse('illegal', job.id, 'claim', job.status, job.requested) end

-- Free slots are shared among those that can be trained as one: each takes its part of them.
local ids = {job.id}
if job.fuse ~= '' then
  local most = math.min(tonumber(arg.population), tonumber(redis.call('HGET', job.key, 'members')))
  local first = -job.priority * QUEUE_STRIDE -- of the same priority alone: with it come none past others that wait
  local from, to = whole(first), '(' .. whole(first + QUEUE_STRIDE)
  local count = math.min(most, math.ceil(redis.call('ZCOUNT', fusable(job), from, to) / tonumber(arg.free)))
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', fusable(job), from, to, 'LIMIT', 0, count)) do
    if id ~= job.id and #ids < count then ids[#ids + 1] = id end
  end
end

local function give(one)
  local generation = redis.call('INCR', key('token'))
  local token = whole(generation) .. '-' .. arg.random
  move(one, 'running', arg.at)
  local ran = redis.call('HMGET', one.key, 'ran_ms', 'attempt_ms')
  redis.call('HSET', one.key, 'token', token, 'beat', 0, 'epoch', arg.epoch,
             'heard_ms', whole(now_ms()), 'ran_ms', whole((ran[1] or 0) + (ran[2] or 0)), 'attempt_ms', 0)
  redis.call('HDEL', one.key, 'due_ms')
  redis.call('HSETNX', one.key, 'started_at', arg.at)
  redis.call('HINCRBY', one.key, 'attempt', 1)
  redis.call('SADD', key('running'), one.id)
  if #ids > 1 then
    redis.call('HSET', one.key, 'population', job.id .. ':' .. arg.random)
    redis.call('SADD', key('population', job.id .. ':' .. arg.random), one.id)
  end
  redis.call('HSET', key('tenant', one.tenant), 'served', whole(generation))
  redis.call('RPUSH', key('claim', arg.claim), one.id, token)
  emit_status(one)
end

take_share(job, 1)
local answer = {'ok'}
for _, id in ipairs(ids) do
  give(id == job.id and job or find_job(id))
  answer[#answer + 1] = job_fields(id)
end
redis.call('EXPIRE', key('claim', arg.claim), CLAIM_S)
return answer
