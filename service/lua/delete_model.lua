#!lua flags=allow-oom
-- Forget a model.
-- model, tenant
-- Answers {document}: the files that now have no record.

local record = redis.call('HMGET', key('model', arg.model), 'tenant', 'document')
if record[1] ~= arg.tenant then return refuse('model_not_found', arg.model) end
redis.call('DEL', key('model', arg.model))
redis.call('ZREM', key('models', arg.tenant), arg.model)
local path = cjson.decode(record[2]).path
if path then redis.call('HDEL', key('model-files'), path) end
return ok(record[2])
