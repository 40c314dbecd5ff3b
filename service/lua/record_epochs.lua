#!lua flags=allow-oom
-- Record the metrics of epochs that follow one another, each once: a row that is there stays and makes no second event.
-- job, token, first (the epoch of the first row), rows (JSON, one a line)
-- Answers {how many were recorded now}.

local job = find_job(arg.job)
if not holds_lease(job, arg.token) then return refuse('lease_lost', arg.job, 'record_epochs') end
local recorded, missing = record_rows(job, arg.first, arg.rows)
if missing then return refuse('epoch_gap', job.id, arg.first, missing) end
return ok(recorded)
