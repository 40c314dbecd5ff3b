#!lua flags=allow-oom
-- Take a name off its model, which stays.
-- tenant, name
-- Answers {}.

local here = key('alias', arg.tenant, arg.name)
local id = redis.call('HGET', here, 'model')
if not id then return refuse('alias_not_found', arg.name) end
redis.call('SREM', key('model', id, 'aliases'), arg.name)
redis.call('ZREM', key('aliases', arg.tenant), arg.name)
redis.call('DEL', here)
return ok()
