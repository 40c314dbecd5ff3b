#!lua flags=no-writes
-- A tenant's data sets and everybody's, newest first.
-- tenant, before ('' = from the newest), count
-- Answers {sequence, document, sequence, document …}.

local found = {}
for _, owner in ipairs({arg.tenant, ''}) do
  local members = newest_below(key('datasets', owner), arg.before, arg.count)
  for i = 1, #members, 2 do found[#found + 1] = {tonumber(members[i + 1]), members[i]} end
end
table.sort(found, function(one, other) return one[1] > other[1] end)

local answer = {'ok'}
for i = 1, math.min(#found, tonumber(arg.count)) do
  answer[#answer + 1] = whole(found[i][1])
  answer[#answer + 1] = redis.call('HGET', key('dataset', found[i][2]), 'document')
end
return answer
