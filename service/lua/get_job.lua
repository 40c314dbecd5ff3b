#!lua flags=no-writes
-- One job's record.
-- job, tenant (none: whoever's)
-- Answers {fields}.

if not find_job(arg.job, arg.tenant) then return refuse('job_not_found', arg.job) end
return ok(job_fields(arg.job))
