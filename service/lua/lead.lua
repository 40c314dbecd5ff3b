#!lua flags=allow-oom
-- Take or keep the lead. Another's is taken only as the caller saw it last, and only when it says that it is dead.
-- token; take_epoch, take_beat: the lead as the caller has watched it stand still, where it has
-- Answers {1, epoch} to the leader, {0, epoch, beat} to everybody else.

local lead = redis.call('HMGET', key('leader'), 'token', 'epoch', 'beat')
if lead[1] == arg.token then
  redis.call('HINCRBY', key('leader'), 'beat', 1)
  return ok(1, lead[2])
end
local vacant = not lead[1] or lead[1] == ''
local dead = lead[2] == arg.take_epoch and lead[3] == arg.take_beat
if not vacant and not dead then return ok(0, lead[2], lead[3]) end

local epoch = redis.call('HINCRBY', key('leader'), 'epoch', 1)
redis.call('HSET', key('leader'), 'token', arg.token, 'beat', 0)
return ok(1, whole(epoch))
