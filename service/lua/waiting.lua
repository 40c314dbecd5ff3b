#!lua flags=no-writes
-- The slots that the first queued jobs need and can use, in the order in which they are claimed.
-- count
-- Answers {{width, max_slots} …}.

local first = {}
for _, width in ipairs(redis.call('ZRANGE', key('queue-widths'), 0, -1)) do
  local found = redis.call('ZRANGE', key('queue', width), 0, arg.count - 1, 'WITHSCORES')
  for i = 1, #found, 2 do first[#first + 1] = {found[i], tonumber(found[i + 1]), width} end
end
table.sort(first, function(a, b) return a[2] < b[2] end)
local answer = {'ok'}
for i = 1, math.min(#first, arg.count) do
  answer[i + 1] = {first[i][3], redis.call('HGET', key('job', first[i][1]), 'max_slots')}
end
return answer
