#!lua flags=no-writes
-- Every running job with its lease, and what slots it can use.
-- Answers {{id, token, beat, epoch, requested, priority, width, max_slots, compute_s, size_bytes, population} …}.

local answer = {'ok'}
for _, id in ipairs(redis.call('SMEMBERS', key('running'))) do
  local found = redis.call('HMGET', key('job', id), 'token', 'beat', 'epoch', 'requested',
                           'priority', 'width', 'max_slots', 'compute_s', 'size_bytes', 'population')
  answer[#answer + 1] = {id, found[1], found[2], found[3], found[4] or '', found[5], found[6], found[7],
                         found[8] or '1', found[9] or '0', found[10] or ''}
end
return answer
