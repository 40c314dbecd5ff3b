#!lua flags=allow-oom
-- Make a checkpoint exist: from here on it is the job's.
-- job, token, checkpoint (JSON)
-- Answers {the one before it, or ''}, the same again for the same checkpoint, so that a repeat deletes no living file.

local job = find_job(arg.job)
if not holds_lease(job, arg.token) then return refuse('lease_lost', arg.job, 'record_checkpoint') end
local known = redis.call('HMGET', job.key, 'checkpoint', 'checkpoint_before')
if known[1] == arg.checkpoint then return ok(known[2] or '') end

redis.call('HSET', job.key, 'checkpoint', arg.checkpoint, 'checkpoint_before', known[1] or '')
return ok(known[1] or '')
