#!lua flags=allow-oom
-- Forget where a preparation of a data set lies, if that is still the place given: its files are lost.
-- dataset, preparation, reference (JSON, as it was recorded)
-- Answers {1 or 0: whether it was forgotten now}.

local prepared = key('dataset', arg.dataset, 'prepared')
if redis.call('HGET', prepared, arg.preparation) ~= arg.reference then return ok(0) end
redis.call('HDEL', prepared, arg.preparation)
return ok(1)
