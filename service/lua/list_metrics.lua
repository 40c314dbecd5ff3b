#!lua flags=no-writes
-- Rows of a job's metrics, in order of epoch.
-- job, tenant, after (the epoch before the first wanted), count
-- Answers {row …}.

if not find_job(arg.job, arg.tenant) then return refuse('job_not_found', arg.job) end
return ok(unpack(redis.call('LRANGE', key('job', arg.job, 'metrics'), arg.after, arg.after + arg.count - 1)))
