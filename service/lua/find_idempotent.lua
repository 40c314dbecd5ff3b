#!lua flags=no-writes
-- The job that an Idempotency-Key made, if it made one.
-- tenant, idempotency, request
-- Answers {its id} or {}.

local known = redis.call('HMGET', key('idempotency', arg.tenant, arg.idempotency), 'request', 'job')
if not known[1] then return ok() end
if known[1] ~= arg.request then return refuse('idempotency', known[2]) end
return ok(known[2])
