#!lua flags=allow-oom
-- Record the metrics of one epoch, once: a row that is there stays as it is and makes no second event.
-- job, token, epoch, row (JSON)
-- Answers {recorded 0|1}.

local job = find_job(arg.job)
if not holds_lease(job, arg.token) then return refuse('lease_lost', arg.job, 'record_epoch') end
local rows = key('job', job.id, 'metrics')
local next_epoch = redis.call('LLEN', rows) + 1
local epoch = tonumber(arg.epoch)
if epoch > next_epoch then return refuse('epoch_gap', job.id, arg.epoch, whole(next_epoch)) end
if epoch < next_epoch then return ok(0) end

redis.call('RPUSH', rows, arg.row)
redis.call('HSET', job.key, 'metrics', arg.row)
emit(job, 'metrics', arg.row)
return ok(1)
