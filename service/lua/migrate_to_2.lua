#!lua flags=allow-oom
-- Bring some of a tenant's jobs, or of its models, from version 1 to 2. It may be repeated.
-- tenant, kind (jobs | models), after (a sequence number), count
-- Answers {the sequence number of the last, or '' when there are no more}.

local found = redis.call('ZRANGEBYSCORE', key(arg.kind, arg.tenant), '(' .. arg.after, '+inf', 'WITHSCORES', 'LIMIT', 0, arg.count)

local function bring_up_job(id)
  local job = find_job(id)
  if job.status == 'queued' then enqueue(job) end
  if not ENDED[job.status] then return end
  local last = redis.call('XREVRANGE', key('job', id, 'events'), '+', '-', 'COUNT', 1)[1]
  redis.call('ZADD', key('ended'), 'NX', now_ms(), id)
  redis.call('HSETNX', job.key, 'last_event', last and last[1] or '0-0')
end

local function bring_up_model(id)
  local document = redis.call('HGET', key('model', id), 'document')
  local path = document and cjson.decode(document).path
  if path then redis.call('HSET', key('model-files'), path, id) end
end

redis.call('SADD', key('tenants'), arg.tenant)
for i = 1, #found, 2 do
  if arg.kind == 'jobs' then bring_up_job(found[i]) else bring_up_model(found[i]) end
end
return ok(found[#found] or '')
