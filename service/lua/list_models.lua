#!lua flags=no-writes
-- A tenant's models, newest first.
-- tenant, before ('' = from the newest), count
-- Answers {sequence, document, sequence, document …}.

local members = newest_below(key('models', arg.tenant), arg.before, arg.count)
local answer = {'ok'}
for i = 1, #members, 2 do
  answer[#answer + 1] = members[i + 1]
  answer[#answer + 1] = redis.call('HGET', key('model', members[i]), 'document')
end
return answer
