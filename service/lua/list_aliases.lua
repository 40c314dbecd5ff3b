#!lua flags=no-writes
-- A tenant's names of models, the newest name first.
-- tenant, before ('' = from the newest), count
-- Answers {sequence, document, sequence, document …}.

local members = newest_below(key('aliases', arg.tenant), arg.before, arg.count)
local answer = {'ok'}
for i = 1, #members, 2 do
  answer[#answer + 1] = members[i + 1]
  answer[#answer + 1] = redis.call('HGET', key('alias', arg.tenant, members[i]), 'document')
end
return answer
