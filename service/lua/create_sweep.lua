#!lua
-- include sweeps
-- Accept a sweep: its record, its place in the list, the use of its data sets. The sweeper makes its trials.
-- sweep, tenant, spec, warnings (JSON), trials (how many, or none), datasets (ids, a space between), at
-- idempotency, request: digest of the tenant's key and of the request; both or neither
-- Answers {created 0|1, fields}.

local remembered = arg.idempotency and key('idempotency', arg.tenant, arg.idempotency)
if remembered then
  local known = redis.call('HMGET', remembered, 'request', 'job')
  if known[1] and known[1] ~= arg.request then return refuse('idempotency', known[2]) end
  if known[1] then return ok(0, sweep_fields(known[2])) end
end
for dataset in string.gmatch(arg.datasets, '%S+') do
  local owner = redis.call('HGET', key('dataset', dataset), 'tenant')
  if not owner or (owner ~= '' and owner ~= arg.tenant) then return refuse('unknown_dataset', dataset, '/base/dataset') end
end

local sequence = redis.call('INCR', key('sequence'))
local sweep = {id = arg.sweep, key = key('sweep', arg.sweep), tenant = arg.tenant, datasets = arg.datasets}
redis.call('HSET', sweep.key, 'id', arg.sweep, 'tenant', arg.tenant, 'sequence', sequence, 'spec', arg.spec, 'asked', 0,
           'warnings', arg.warnings, 'datasets', arg.datasets, 'created_at', arg.at)
if arg.trials then redis.call('HSET', sweep.key, 'trials', arg.trials) end
redis.call('ZADD', key('sweeps', arg.tenant), sequence, arg.sweep)
if remembered then
  redis.call('HSET', remembered, 'request', arg.request, 'job', arg.sweep)
  redis.call('EXPIRE', remembered, IDEMPOTENCY_S)
end
move_sweep(sweep, 'queued', arg.at)
return ok(1, sweep_fields(arg.sweep))
