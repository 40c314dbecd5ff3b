#!lua flags=allow-oom
-- Write one line into the job's log; a warning is added to the job's own as well, once.
-- job, token, line (JSON), warning (its text as JSON; absent: it is none)

local job = find_job(arg.job)
if not holds_lease(job, arg.token) then return refuse('lease_lost', arg.job, 'log') end
write_log(job, arg.line)
local warnings = redis.call('HGET', job.key, 'warnings') or '[]'
if arg.warning and #warnings < WARNINGS_BYTES and not string.find(warnings, arg.warning, 1, true) then
  local before = warnings == '[]' and '[' or string.sub(warnings, 1, -2) .. ','
  redis.call('HSET', job.key, 'warnings', before .. arg.warning .. ']')
end
return ok()
