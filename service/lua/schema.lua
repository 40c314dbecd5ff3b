#!lua flags=allow-oom
-- Mark an empty Redis with the version of the key schema.
-- version
-- Answers {the version that its keys have}.

redis.call('SET', key('schema'), arg.version, 'NX')
return ok(redis.call('GET', key('schema')))
