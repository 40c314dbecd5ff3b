#!lua flags=no-writes
-- A data set by id or by name: the tenant's own, or everybody's.
-- tenant; dataset (an id, or none), name (or none)
-- Answers {document}.

local id = arg.dataset or redis.call('HGET', key('dataset-names', arg.tenant), arg.name)
  or redis.call('HGET', key('dataset-names', ''), arg.name)
local known = id and redis.call('HMGET', key('dataset', id), 'tenant', 'document') or {}
if not known[1] or (known[1] ~= '' and known[1] ~= arg.tenant) then
  return refuse('dataset_not_found', arg.dataset or arg.name)
end
return ok(known[2])
