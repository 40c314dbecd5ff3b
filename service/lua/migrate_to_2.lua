#!lua flags=allow-oom
-- Bring one tenant's keys from version 1 to 2; without a tenant, forget what only version 1 had. It may be repeated.
-- tenant, or none

if not arg.tenant then
  for _, width in ipairs(redis.call('ZRANGE', key('queue-widths'), 0, -1)) do redis.call('DEL', key('queue', width)) end
  redis.call('DEL', key('queue-widths'))
  return ok()
end

redis.call('SADD', key('tenants'), arg.tenant)
local function each(status, step)
  for _, id in ipairs(redis.call('ZRANGE', key('jobs-by-status', arg.tenant, status), 0, -1)) do step(find_job(id)) end
end

each('queued', enqueue)

local jobs, slots = 0, 0
each('running', function(job) jobs, slots = jobs + 1, slots + job.width end)
redis.call('HSET', key('tenant', arg.tenant), 'jobs', jobs, 'slots', slots)

for status, _ in pairs(ENDED) do
  each(status, function(job)
    local last = redis.call('XREVRANGE', key('job', job.id, 'events'), '+', '-', 'COUNT', 1)[1]
    redis.call('ZADD', key('ended'), 'NX', now_ms(), job.id)
    redis.call('HSETNX', job.key, 'last_event', last and last[1] or '0-0')
  end)
end

for _, id in ipairs(redis.call('ZRANGE', key('models', arg.tenant), 0, -1)) do
  local document = redis.call('HGET', key('model', id), 'document')
  local path = document and cjson.decode(document).path
  if path then redis.call('HSET', key('model-files'), path, id) end
end
return ok()
