#!lua flags=no-writes
-- How many jobs are queued, whatever they wait for.

return ok(count_all_queued())
