#!lua flags=no-writes
-- include sweeps
-- A tenant's sweeps, newest first.
-- tenant, before (a sequence number, '' = from the newest), count
-- Answers {sequence, fields, sequence, fields …}.

local answer = {'ok'}
local members = newest_below(key('sweeps', arg.tenant), arg.before, arg.count)
for i = 1, #members, 2 do
  answer[#answer + 1] = members[i + 1]
  answer[#answer + 1] = sweep_fields(members[i])
end
return answer
