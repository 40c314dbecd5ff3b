#!lua flags=allow-oom
-- The sweeper is at work; who asks later learns how long ago.
-- keep_ms

redis.call('SET', key('sweeper'), 1, 'PX', arg.keep_ms)
return ok()
