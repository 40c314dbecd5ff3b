#!lua flags=allow-oom
-- Mark an empty Redis with the version of the key schema, or one whose keys have been brought up to it.
-- version; found (the version that they had before, or none: they have been left alone)
-- Answers {the version that its keys have}.

if arg.found and redis.call('GET', key('schema')) == arg.found then redis.call('SET', key('schema'), arg.version) end
redis.call('SET', key('schema'), arg.version, 'NX')
return ok(redis.call('GET', key('schema')))
