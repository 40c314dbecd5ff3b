#!lua flags=allow-oom
-- Forget a data set that no live job uses; its name is free again.
-- dataset, tenant
-- Answers {document, reference to a preparation …}: the files that now have no record.

local record = redis.call('HMGET', key('dataset', arg.dataset), 'tenant', 'name', 'document')
if record[1] == '' then return refuse('builtin', arg.dataset) end
if record[1] ~= arg.tenant then return refuse('dataset_not_found', arg.dataset) end
local users = key('dataset', arg.dataset, 'jobs')
local count = redis.call('SCARD', users)
if count > 0 then return refuse('in_use', arg.dataset, whole(count), redis.call('SRANDMEMBER', users)) end

users = key('dataset', arg.dataset, 'sweeps')
count = redis.call('SCARD', users)
if count > 0 then return refuse('in_use_by_sweep', arg.dataset, whole(count), redis.call('SRANDMEMBER', users)) end

local prepared = redis.call('HVALS', key('dataset', arg.dataset, 'prepared'))
redis.call('DEL', key('dataset', arg.dataset), key('dataset', arg.dataset, 'prepared'))
redis.call('HDEL', key('dataset-names', arg.tenant), record[2])
redis.call('ZREM', key('datasets', arg.tenant), arg.dataset)
return ok(record[3], unpack(prepared))
