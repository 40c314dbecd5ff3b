#!lua
-- Give a model a name of the tenant's, or move the name to it. At the same model again nothing changes.
-- tenant, name, quoted (the name in JSON), at; model (an id) or alias (another name, whose model it is)
-- Answers {created 0|1, document}.

local id, found = find_model()
if not id then return found end
local here = key('alias', arg.tenant, arg.name)
local known = redis.call('HMGET', here, 'model', 'document')
if known[1] == id then return ok(0, known[2]) end

local document = table.concat({'{"name":', arg.quoted, ',"model_id":"', id, '","promoted_at":"', arg.at, '"}'})
if known[1] then
  redis.call('SREM', key('model', known[1], 'aliases'), arg.name)
else
  redis.call('ZADD', key('aliases', arg.tenant), redis.call('INCR', key('sequence')), arg.name)
end
redis.call('SADD', key('model', id, 'aliases'), arg.name)
redis.call('HSET', here, 'model', id, 'document', document)
return ok(known[1] and 0 or 1, document)
