#!lua flags=allow-oom
-- Record the metrics of epochs that follow one another, each once: a row that is there stays and makes no second event.
-- job, token, first (the epoch of the first row), rows (JSON, one a line)
-- Answers {how many were recorded now}.

local job = find_job(arg.job)
if not holds_lease(job, arg.token) then return refuse('lease_lost', arg.job, 'record_epochs') end
local rows = key('job', job.id, 'metrics')
local next_epoch = redis.call('LLEN', rows) + 1
local epoch = tonumber(arg.first)
if epoch > next_epoch then return refuse('epoch_gap', job.id, arg.first, whole(next_epoch)) end

local recorded = 0
for row in string.gmatch(arg.rows, '[^\n]+') do
  if epoch >= next_epoch then
    redis.call('RPUSH', rows, row)
    emit(job, 'metrics', row)
    redis.call('HSET', job.key, 'metrics', row)
    recorded = recorded + 1
  end
  epoch = epoch + 1
end
if job.sweep ~= '' and recorded > 0 then
  local known = redis.call('HMGET', job.key, 'prunes', 'trial')
  if known[1] then sweep_changed(job.sweep, known[2]) end
end
return ok(recorded)
