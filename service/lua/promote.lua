#!lua flags=allow-oom
-- Put jobs whose time has come in line for slots, and settle what waits for jobs that have ended; by the leader.
-- epoch, count (how many at most), error (JSON: of a job whose parent did not succeed; %s stands for the parent), at, transitions
-- Answers {1 where there may be more, or 0; milliseconds until the next one's time, or ''}.

local epoch = present_epoch()
if tonumber(arg.epoch) < epoch then return refuse('epoch_lost', arg.epoch, whole(epoch)) end
local left, now = tonumber(arg.count), now_ms()

for _, id in ipairs(redis.call('ZRANGEBYSCORE', key('later'), '-inf', now, 'LIMIT', 0, left)) do
  local job = find_job(id)
  redis.call('ZREM', key('later'), id)
  redis.call('HDEL', job.key, 'due_ms')
  job.due_ms = ''
  enqueue(job)
  left = left - 1
end

local function settle(child, parent)
  if parent.status == 'succeeded' then
    redis.call('SREM', key('job', child.id, 'parents'), parent.id)
    redis.call('HSET', child.key, 'after', table.concat(redis.call('SMEMBERS', key('job', child.id, 'parents')), ' '))
    if child.status == 'queued' then enqueue(child) end
  elseif may(child.status, 'cancelled') and child.status ~= 'running' then
    redis.call('HSET', child.key, 'error', (string.gsub(arg.error, '%%s', parent.id .. ' is ' .. parent.status)))
    move(child, 'cancelled', arg.at)
    emit_status(child)
  end
end

while left > 0 do
  local id = redis.call('LINDEX', key('unsettled'), 0)
  if not id then break end
  local parent = find_job(id)
  local child = parent and ENDED[parent.status] and redis.call('SPOP', key('job', id, 'dependants'))
  if not child then
    redis.call('LPOP', key('unsettled')) -- no more, or it was put into the queue again
  elseif redis.call('SISMEMBER', key('job', child, 'parents'), id) == 1 then
    settle(find_job(child), parent)
  end
  left = left - 1
end

local following = redis.call('ZRANGE', key('later'), 0, 0, 'WITHSCORES')
return ok(left > 0 and 0 or 1, following[2] and whole(math.max(0, following[2] - now)) or '')
