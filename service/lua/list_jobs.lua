#!lua flags=no-writes
-- Some of a tenant's jobs, newest first: walks one index below `before` and asks the other of each, at most `walk` times.
-- tenant, before ('' = from the newest), count, walk; status, tag: filters, none or one or both
-- Answers {sequence walked to, or '' when the index is at its end; fields, fields …}.

local indexes = {}
if arg.tag then indexes[#indexes + 1] = key('jobs-by-tag', arg.tenant, arg.tag) end
if arg.status then indexes[#indexes + 1] = key('jobs-by-status', arg.tenant, arg.status) end
if #indexes == 0 then indexes[1] = key('jobs', arg.tenant) end
if #indexes == 2 and redis.call('ZCARD', indexes[2]) < redis.call('ZCARD', indexes[1]) then
  indexes[1], indexes[2] = indexes[2], indexes[1]
end

local count, walk = tonumber(arg.count), tonumber(arg.walk)
local most = indexes[2] and walk or count + 1 -- one more, to see the end
local members = newest_below(indexes[1], arg.before, most)
local answer, last = {'ok', ''}, ''
for i = 1, #members, 2 do
  if #answer - 2 == count then break end
  last = members[i + 1]
  if not indexes[2] or redis.call('ZSCORE', indexes[2], members[i]) then answer[#answer + 1] = job_fields(members[i]) end
end
local at_end = #members < 2 * most and last == (members[#members] or '')
if not at_end then answer[2] = last end
return answer
