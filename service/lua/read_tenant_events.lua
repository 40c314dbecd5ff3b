#!lua flags=no-writes
-- include sweeps
-- The events of a tenant's jobs after one of them, as far as they are kept; where jobs or sweeps are named, theirs alone.
-- tenant, after (a stream id; '0-0' = all), count (of events looked at), jobs, sweeps (ids, a space between; neither: all)
-- Answers {named ones that live, last id, trimmed 0|1, first kept id, last id looked at, {id, {field, value …}} …}.

local named, living = nil, 0
if arg.jobs or arg.sweeps then named = {} end
for id in string.gmatch(arg.sweeps or '', '%S+') do
  local sweep = find_sweep(id, arg.tenant)
  if not sweep then return refuse('sweep_not_found', id) end
  if not ENDED[sweep.status] or redis.call('EXISTS', key('sweep', id, 'open')) == 1 then living = living + 1 end
  named[id] = true
end
if arg.jobs then
  for id in string.gmatch(arg.jobs, '%S+') do
    local job = find_job(id, arg.tenant)
    if not job then return refuse('job_not_found', id) end
    if not ENDED[job.status] then living = living + 1 end
    named[id] = true
  end
end

local stream = key('events', arg.tenant)
local first = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)
local last = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)
local trimmed = redis.call('XLEN', stream) >= TENANT_EVENTS_KEPT and 1 or 0
local answer = {'ok', living, last[1] and last[1][1] or '0-0', trimmed, first[1] and first[1][1] or '0-0', arg.after}
for _, event in ipairs(redis.call('XRANGE', stream, '(' .. arg.after, '+', 'COUNT', arg.count)) do
  answer[6] = event[1]
  local kind, id = event[2][1], event[2][2]
  if not named or named[id] or (arg.sweeps and kind == 'job' and named[redis.call('HGET', key('job', id), 'sweep') or '']) then answer[#answer + 1] = event end
end
return answer
