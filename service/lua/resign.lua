#!lua flags=allow-oom
-- Give up the lead, if the caller has it, so that the next need not wait for it to look dead.
-- token

if redis.call('HGET', key('leader'), 'token') == arg.token then redis.call('HSET', key('leader'), 'token', '') end
return ok()
