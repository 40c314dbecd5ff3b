#!lua flags=no-writes
-- Lines of a job's log that are kept, oldest first.
-- job, tenant, after (the number of the line before the first wanted), count
-- Answers {number, line, number, line …}.

if not find_job(arg.job, arg.tenant) then return refuse('job_not_found', arg.job) end
local entries = redis.call('XRANGE', key('job', arg.job, 'logs'), '(' .. arg.after, '+', 'COUNT', arg.count)
local answer = {'ok'}
for _, entry in ipairs(entries) do
  answer[#answer + 1] = string.match(entry[1], '^%d+')
  answer[#answer + 1] = entry[2][2]
end
return answer
