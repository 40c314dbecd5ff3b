#!lua flags=allow-oom
-- The last piece of the way from version 1 to 2: what runs is counted, and what only version 1 had is forgotten. A lease
-- of version 1 is over: its runner does not know the keys that it would have to write. It may be repeated.

local shares = {}
for _, id in ipairs(redis.call('SMEMBERS', key('running'))) do
  local job = find_job(id)
  local share = shares[job.tenant] or {jobs = 0, slots = 0}
  share.jobs, share.slots, shares[job.tenant] = share.jobs + 1, share.slots + job.width, share
  if job.heard_ms == '' then redis.call('HSET', job.key, 'token', '0-of-version-1', 'heard_ms', whole(now_ms())) end
end
for _, tenant in ipairs(redis.call('SMEMBERS', key('tenants'))) do
  local share = shares[tenant] or {jobs = 0, slots = 0}
  redis.call('HSET', key('tenant', tenant), 'jobs', share.jobs, 'slots', share.slots)
end

for _, width in ipairs(redis.call('ZRANGE', key('queue-widths'), 0, -1)) do redis.call('UNLINK', key('queue', width)) end
redis.call('UNLINK', key('queue-widths'))
return ok()
