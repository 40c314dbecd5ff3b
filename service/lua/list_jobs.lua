#!lua flags=no-writes
-- include sweeps
-- Some of a tenant's jobs, newest first: walks one index below `before` and asks the others of each, at most `walk` times.
-- tenant, before ('' = from the newest), count, walk; status, tag, sweep: filters, none or some
-- Answers {sequence walked to, or '' when the index is at its end; fields, fields …}.

local indexes = {}
if arg.sweep then
  if not find_sweep(arg.sweep, arg.tenant) then return refuse('sweep_not_found', arg.sweep) end
  indexes[#indexes + 1] = key('jobs-by-sweep', arg.sweep)
end
if arg.tag then indexes[#indexes + 1] = key('jobs-by-tag', arg.tenant, arg.tag) end
if arg.status then indexes[#indexes + 1] = key('jobs-by-status', arg.tenant, arg.status) end
if #indexes == 0 then indexes[1] = key('jobs', arg.tenant) end
local sizes = {}
for _, index in ipairs(indexes) do sizes[index] = redis.call('ZCARD', index) end
table.sort(indexes, function(one, other) return sizes[one] < sizes[other] end)

local function in_all(id)
  for i = 2, #indexes do
    if not redis.call('ZSCORE', indexes[i], id) then return false end
  end
  return true
end

local count, walk = tonumber(arg.count), tonumber(arg.walk)
local most = indexes[2] and walk or count + 1 -- one more, to see the end
local members = newest_below(indexes[1], arg.before, most)
local answer, last = {'ok', ''}, ''
for i = 1, #members, 2 do
  if #answer - 2 == count then break end
  last = members[i + 1]
  if in_all(members[i]) then answer[#answer + 1] = job_fields(members[i]) end
end
local at_end = #members < 2 * most and last == (members[#members] or '')
if not at_end then answer[2] = last end
return answer
