#!lua flags=allow-oom
-- Give the leader the queued job that goes first of those whose width fits into the free slots, with a new lease.
-- epoch, free, claim (token of this very claim), random (128 bits in hex), at, transitions
-- hold (a job that the slots are held for: none but it and those of a higher priority are given, or none)
-- max_running (of one tenant's jobs, or none)
-- Answers {fields} or {}. The same claim again (a lost reply) gives the same job, while its lease lasts.

local epoch = present_epoch()
if tonumber(arg.epoch) < epoch then return refuse('epoch_lost', arg.epoch, whole(epoch)) end
local given = redis.call('HMGET', key('claim', arg.claim), 'job', 'token')
if given[1] then
  if redis.call('HGET', key('job', given[1]), 'token') == given[2] then return ok(job_fields(given[1])) end
  return ok()
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

local generation = redis.call('INCR', key('token'))
local token = whole(generation) .. '-' .. arg.random
move(job, 'running', arg.at)
local ran = redis.call('HMGET', job.key, 'ran_ms', 'attempt_ms')
redis.call('HSET', job.key, 'token', token, 'beat', 0, 'epoch', arg.epoch,
           'heard_ms', whole(now_ms()), 'ran_ms', whole((ran[1] or 0) + (ran[2] or 0)), 'attempt_ms', 0)
redis.call('HDEL', job.key, 'due_ms')
redis.call('HSETNX', job.key, 'started_at', arg.at)
redis.call('HINCRBY', job.key, 'attempt', 1)
redis.call('SADD', key('running'), job.id)
redis.call('HINCRBY', key('tenant', job.tenant), 'jobs', 1)
redis.call('HINCRBY', key('tenant', job.tenant), 'slots', job.width)
redis.call('HSET', key('tenant', job.tenant), 'served', whole(generation))
redis.call('HSET', key('claim', arg.claim), 'job', job.id, 'token', token)
redis.call('EXPIRE', key('claim', arg.claim), CLAIM_S)
emit_status(job)
return ok(job_fields(job.id))
