#!lua flags=no-writes
-- Jobs of a tenant as they are at one moment: those named or, without names, those that live.
-- tenant, jobs, sweeps (ids, a space between; or none: of sweeps their living jobs), count (of living ones at most: running, paused, queued, each newest first)
-- Answers {fields, fields …}.

local answer = {'ok'}
if arg.jobs then
  for id in string.gmatch(arg.jobs, '%S+') do
    if not find_job(id, arg.tenant) then return refuse('job_not_found', id) end
    answer[#answer + 1] = job_fields(id)
  end
end
for sweep in string.gmatch(arg.sweeps or '', '%S+') do
  if redis.call('HGET', key('sweep', sweep), 'tenant') ~= arg.tenant then return refuse('sweep_not_found', sweep) end
  for _, id in ipairs(redis.call('SRANDMEMBER', key('sweep', sweep, 'live'), arg.count)) do
    answer[#answer + 1] = job_fields(id)
  end
end
if arg.jobs or arg.sweeps then return answer end

for _, status in ipairs({'running', 'paused', 'queued'}) do
  local room = tonumber(arg.count) + 1 - #answer
  if room > 0 then
    for _, id in ipairs(redis.call('ZREVRANGE', key('jobs-by-status', arg.tenant, status), 0, room - 1)) do
      answer[#answer + 1] = job_fields(id)
    end
  end
end
return answer
