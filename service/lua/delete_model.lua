#!lua flags=allow-oom
-- Forget a model that has no alias.
-- tenant; model (an id) or alias; unless_taken (1: only one that no other job has taken as its own, or none)
-- Answers {document}: the files that now have no record; {} for one that has been taken.

local id, found = find_model()
if not id then return found end
local aliases = key('model', id, 'aliases')
if redis.call('EXISTS', aliases) == 1 then return refuse('aliased', id, unpack(redis.call('SRANDMEMBER', aliases, 10))) end
if arg.unless_taken and redis.call('HEXISTS', key('model', id), 'taken') == 1 then return ok() end

redis.call('DEL', key('model', id))
redis.call('ZREM', key('models', arg.tenant), id)
local path = cjson.decode(found).path
if path then redis.call('HDEL', key('model-files'), path) end
return ok(found)
