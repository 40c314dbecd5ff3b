#!lua flags=allow-oom
-- Show what the leader sees of the cluster. It goes by itself when nobody leads.
-- epoch, document (JSON), keep_ms

local epoch = present_epoch()
if tonumber(arg.epoch) < epoch then return refuse('epoch_lost', arg.epoch, whole(epoch)) end
redis.call('SET', key('cluster'), arg.document, 'PX', arg.keep_ms)
return ok()
