#!lua flags=no-writes
-- One model's record.
-- model, tenant
-- Answers {document}.

local record = redis.call('HMGET', key('model', arg.model), 'tenant', 'document')
if record[1] ~= arg.tenant then return refuse('model_not_found', arg.model) end
return ok(record[2])
