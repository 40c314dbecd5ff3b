#!lua
-- Add a data set under a name that is free. The same data under the same name is the same data set.
-- dataset, tenant ('' = everybody's), name, identity, document (JSON)
-- Answers {created 0|1, document}. Nobody may take a name that is everybody's.

for _, owner in ipairs({'', arg.tenant}) do
  local id = redis.call('HGET', key('dataset-names', owner), arg.name)
  if id then
    local known = redis.call('HMGET', key('dataset', id), 'identity', 'document')
    if owner ~= arg.tenant or known[1] ~= arg.identity then return refuse('name_taken', arg.name, id) end
    return ok(0, known[2])
  end
end

redis.call('HSET', key('dataset', arg.dataset), 'tenant', arg.tenant, 'name', arg.name, 'identity', arg.identity,
           'document', arg.document)
redis.call('HSET', key('dataset-names', arg.tenant), arg.name, arg.dataset)
redis.call('ZADD', key('datasets', arg.tenant), redis.call('INCR', key('sequence')), arg.dataset)
return ok(1, arg.document)
