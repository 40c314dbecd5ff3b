#!lua flags=allow-oom
-- Make a checkpoint exist: from here on it is the job's newest. Each `keep`th stays on record when it is replaced.
-- job, token, checkpoint (JSON), keep (or none)
-- Answers {the one that goes off record, or ''}, the same again for the same checkpoint, so that a repeat deletes no
-- living file.

local job = find_job(arg.job)
if not holds_lease(job, arg.token) then return refuse('lease_lost', arg.job, 'record_checkpoint') end
local known = redis.call('HMGET', job.key, 'checkpoint', 'checkpoint_before')
if known[1] == arg.checkpoint then return ok(known[2] or '') end

local before = known[1] or ''
local number = redis.call('HINCRBY', job.key, 'checkpoints', 1) - 1 -- of the one before
if before ~= '' and arg.keep and number % arg.keep == 0 then
  redis.call('RPUSH', key('job', job.id, 'checkpoints'), before)
  before = ''
end
redis.call('HSET', job.key, 'checkpoint', arg.checkpoint, 'checkpoint_before', before)
return ok(before)
