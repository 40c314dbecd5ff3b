#!lua flags=no-writes
-- How many jobs are queued.

local depth = 0
for _, width in ipairs(redis.call('ZRANGE', key('queue-widths'), 0, -1)) do
  depth = depth + redis.call('ZCARD', key('queue', width))
end
return ok(depth)
