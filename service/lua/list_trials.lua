#!lua flags=no-writes
-- include sweeps
-- Trials of a sweep in the order of their numbers: those named, or some that follow one another.
-- sweep, tenant (none: whoever's), numbers (a space between), or after (so many come before) and count
-- Answers {{fields, statuses of its jobs} …}; of a trial that has ended no statuses.

local sweep = find_sweep(arg.sweep, arg.tenant)
if not sweep then return refuse('sweep_not_found', arg.sweep) end
local answer = {'ok'}
local function add(number)
  local fields = redis.call('HGETALL', key('sweep', sweep.id, 'trial', number))
  local found, ended = {}, false
  for i = 1, #fields, 2 do
    if fields[i] == 'status' then ended = true end
  end
  for i = 1, ended and 0 or #fields, 2 do
    if fields[i] == 'jobs' then
      for id in string.gmatch(fields[i + 1], '%S+') do found[#found + 1] = redis.call('HGET', key('job', id), 'status') or 'failed' end
    end
  end
  if #fields > 0 then answer[#answer + 1] = {fields, found} end
end

for number in string.gmatch(arg.numbers or '', '%S+') do add(number) end
if arg.after then
  for number = tonumber(arg.after), math.min(tonumber(arg.after) + tonumber(arg.count), tonumber(sweep.asked)) - 1 do
    add(whole(number))
  end
end
return answer
