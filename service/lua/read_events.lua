#!lua flags=no-writes
-- The events of a job after one of them, as far as they are kept.
-- job, after (a stream id; '0-0' = all), count
-- Answers {status, last id, trimmed 0|1, first kept id, {id, {field, value …}} …}.

local known = redis.call('HMGET', key('job', arg.job), 'status', 'last_event', 'events_lost')
local status, ended_with = known[1], known[2]
if not status then return refuse('job_not_found', arg.job) end
local stream = key('job', arg.job, 'events')
local first = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)
if not first[1] and ended_with then return ok(status, ended_with, 1, ended_with) end -- they have expired
local last = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)
local trimmed = (known[3] or redis.call('XLEN', stream) >= EVENTS_KEPT) and 1 or 0
local answer = {'ok', status, last[1] and last[1][1] or '0-0', trimmed, first[1] and first[1][1] or '0-0'}
for _, event in ipairs(redis.call('XRANGE', stream, '(' .. arg.after, '+', 'COUNT', arg.count)) do
  answer[#answer + 1] = event
end
return answer
