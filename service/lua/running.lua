#!lua flags=no-writes
-- Every running job with its lease.
-- Answers {{id, token, beat, slots, epoch, requested} …}.

local answer = {'ok'}
for _, id in ipairs(redis.call('SMEMBERS', key('running'))) do
  local lease = redis.call('HMGET', key('job', id), 'token', 'beat', 'slots', 'epoch', 'requested')
  answer[#answer + 1] = {id, lease[1], lease[2], lease[3], lease[4], lease[5] or ''}
end
return answer
