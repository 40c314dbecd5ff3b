#!lua flags=allow-oom
-- Give the leader the first queued job (priority, then age) whose width fits into the free slots, with a new lease.
-- epoch, free, claim (token of this very claim), random (128 bits in hex), at, transitions
-- Answers {fields} or {}. The same claim again (a lost reply) gives the same job, while its lease lasts.

local epoch = present_epoch()
if tonumber(arg.epoch) < epoch then return refuse('epoch_lost', arg.epoch, whole(epoch)) end
local given = redis.call('GET', key('claim', arg.claim))
if given then
  if redis.call('HGET', key('job', given), 'claim') == arg.claim then return ok(job_fields(given)) end
  return ok()
end

local best, best_score
for _, width in ipairs(redis.call('ZRANGEBYSCORE', key('queue-widths'), '-inf', arg.free)) do
  local head = redis.call('ZRANGE', key('queue', width), 0, 0, 'WITHSCORES')
  local score = tonumber(head[2])
  if not best or score < best_score then best, best_score = head[1], score end
end
if not best then return ok() end
local job = find_job(best)
if not may(job.status, 'running') then return refuse('illegal', job.id, 'claim', job.status, job.requested) end

local token = whole(redis.call('INCR', key('token'))) .. '-' .. arg.random
move(job, 'running', arg.at)
redis.call('HSET', job.key, 'token', token, 'claim', arg.claim, 'beat', 0, 'epoch', arg.epoch)
redis.call('HSETNX', job.key, 'started_at', arg.at)
redis.call('HINCRBY', job.key, 'attempt', 1)
redis.call('SADD', key('running'), job.id)
redis.call('SET', key('claim', arg.claim), job.id, 'EX', CLAIM_S)
emit_status(job)
return ok(job_fields(job.id))
