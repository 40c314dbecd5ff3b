#!lua flags=allow-oom
-- Record where a preparation of a data set lies; the first one stays.
-- dataset, preparation, reference (JSON)
-- Answers {the reference that holds}.

if redis.call('EXISTS', key('dataset', arg.dataset)) == 0 then return refuse('dataset_not_found', arg.dataset) end
redis.call('HSETNX', key('dataset', arg.dataset, 'prepared'), arg.preparation, arg.reference)
return ok(redis.call('HGET', key('dataset', arg.dataset, 'prepared'), arg.preparation))
