#!lua
-- include sweeps
-- Accept a job: its record, its indexes, its place in the queue, the use of its data set, its first event.
-- job, tenant, spec (JSON), dataset, sha256 (of its bytes), validation (a data set too, or none), priority,
-- width and max_slots (slots it needs and can use), compute_s (of a step on one), size_bytes (of its parameters),
-- tags (JSON list of `key` and `key=value`), warnings (JSON), at, retries
-- after (ids of jobs that must have succeeded first), done (those of them that have, and are known no more), due_ms (since 1970: not before this time), or none
-- work (digest of all that changes its bits), or none; fingerprint (digest of this process's kernels; with it, what
-- has succeeded with the same work answers for the job: it is created succeeded, with that one's model)
-- quiet (1: the leader is not woken yet, or none)
-- fuse (digest of what jobs must have in common to be trained as one), members (how many of them at most), or none
-- max_queued, max_queued_tenant: jobs, of all tenants and of this one, or none
-- sweep, trial, repetition, parallel, params, attributes, study_attributes (JSON), parameters, prunes (1 or none): a job
-- of a sweep's trial, which is recorded in the same step; the job that was made for it already answers a repeat
-- idempotency, request: digest of the tenant's key and of the request; both or neither
-- Answers {1, sequence, name and value of how it stands …}; {created 0|1, fields} where it has not just been queued.

local remembered = arg.idempotency and key('idempotency', arg.tenant, arg.idempotency)
if remembered then
  local known = redis.call('HMGET', remembered, 'request', 'job')
  if known[1] and known[1] ~= arg.request then return refuse('idempotency', known[2]) end
  if known[1] and not find_job(known[2]) then return refuse('job_not_found', known[2]) end -- its record is archived
  if known[1] then return ok(0, job_fields(known[2])) end
end

local sweep
if arg.sweep then
  sweep = find_sweep(arg.sweep, arg.tenant)
  local made, refused = admit_trial(sweep)
  if refused then return refused end
  if made then return ok(0, job_fields(made)) end
end

-- The job has succeeded as another one did: with its result, its model and its metrics.
local function take_over(job, source)
  local known = redis.call('HMGET', key('job', source), 'result', 'metrics', 'model', 'progress')
  local result = string.sub(known[1], 1, -2) .. ',"reused_from":"' .. source .. '"}'
  move(job, 'succeeded', arg.at)
  redis.call('HSET', job.key, 'result', result, 'model', known[3])
  redis.call('HSET', key('model', known[3]), 'taken', 1)
  if known[2] then redis.call('HSET', job.key, 'metrics', known[2]) end
  if known[4] then redis.call('HSET', job.key, 'progress', known[4]) end
  redis.call('COPY', key('job', source, 'metrics'), key('job', job.id, 'metrics'))
end

local owner = redis.call('HGET', key('dataset', arg.dataset), 'tenant')
if not owner or (owner ~= '' and owner ~= arg.tenant) then return refuse('unknown_dataset', arg.dataset) end
if arg.validation then
  owner = redis.call('HGET', key('dataset', arg.validation), 'tenant')
  if not owner or (owner ~= '' and owner ~= arg.tenant) then
    return refuse('unknown_dataset', arg.validation, '/data/validation_dataset')
  end
end

local waits_for, dead = unfinished_parents({tenant = arg.tenant, after = arg.after or ''}, arg.done or '')
if dead then return refuse('dead_parent', dead[1], dead[2] or '', dead[3]) end

local sequence, source
local waits = #waits_for > 0 or (arg.due_ms and tonumber(arg.due_ms) > now_ms())
if arg.fingerprint and not waits then
  source = redis.call('GET', key('work', arg.tenant, arg.work, arg.fingerprint))
  local known = source and redis.call('HMGET', key('job', source), 'status', 'model') or {}
  if known[1] ~= 'succeeded' or redis.call('EXISTS', key('model', known[2])) == 0 then source = nil end
end

local queued = redis.call('ZCARD', key('jobs-by-status', arg.tenant, 'queued'))
if not source and arg.max_queued_tenant and queued >= tonumber(arg.max_queued_tenant) then
  return refuse('queue_full', arg.max_queued_tenant, 'DELTAQ_MAX_QUEUED_TENANT')
end
if not source and arg.max_queued and count_all_queued() >= tonumber(arg.max_queued) then
  return refuse('queue_full', arg.max_queued, 'DELTAQ_MAX_QUEUED')
end

sequence = redis.call('INCR', key('sequence'))
local job = {id = arg.job, key = key('job', arg.job), tenant = arg.tenant, sequence = sequence,
             priority = arg.priority, width = arg.width, dataset = arg.dataset, validation = arg.validation or '',
             due_ms = arg.due_ms or '', fuse = arg.fuse or '', status = 'queued', sweep = arg.sweep or ''}
if sweep then
  record_trial(sweep, job.id)
  redis.call('HSET', job.key, 'sweep', arg.sweep, 'trial', arg.trial)
  if arg.prunes then redis.call('HSET', job.key, 'prunes', arg.prunes) end
  redis.call('ZADD', key('jobs-by-sweep', arg.sweep), sequence, job.id)
  redis.call('SADD', key('sweep', arg.sweep, 'live'), job.id)
end
redis.call('HSET', job.key, 'id', arg.job, 'tenant', arg.tenant, 'status', 'queued', 'sequence', sequence,
           'attempt', 0, 'spec', arg.spec, 'dataset', arg.dataset, 'dataset_sha256', arg.sha256,
           'priority', arg.priority, 'width', arg.width, 'max_slots', arg.max_slots, 'retries', arg.retries,
           'compute_s', arg.compute_s, 'size_bytes', arg.size_bytes, 'tags', arg.tags, 'warnings', arg.warnings, 'created_at', arg.at)
if arg.fuse then redis.call('HSET', job.key, 'fuse', arg.fuse, 'members', arg.members) end
if arg.work then redis.call('HSET', job.key, 'work', arg.work) end
await_parents(job, waits_for)
if arg.due_ms then redis.call('HSET', job.key, 'due_ms', arg.due_ms) end
redis.call('SADD', key('tenants'), arg.tenant)
redis.call('ZADD', key('jobs', arg.tenant), sequence, arg.job)
redis.call('ZADD', key('jobs-by-status', arg.tenant, 'queued'), sequence, arg.job)
for _, tag in ipairs(cjson.decode(arg.tags)) do redis.call('ZADD', key('jobs-by-tag', arg.tenant, tag), sequence, arg.job) end
if arg.validation then redis.call('HSET', job.key, 'validation', arg.validation) end
if remembered then
  redis.call('HSET', remembered, 'request', arg.request, 'job', arg.job)
  redis.call('EXPIRE', remembered, IDEMPOTENCY_S)
end
if source then
  take_over(job, source)
else
  use_datasets(job, 'SADD')
  enqueue(job)
end
emit_status(job)
if source then return ok(1, job_fields(arg.job)) end
return ok(1, whole(sequence), unpack(standing(job)))
