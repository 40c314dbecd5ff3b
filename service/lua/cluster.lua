#!lua flags=no-writes
-- What the leader showed last.
-- Answers {document, milliseconds that it still is kept} or {}.

local document = redis.call('GET', key('cluster'))
if not document then return ok() end
return ok(document, redis.call('PTTL', key('cluster')))
