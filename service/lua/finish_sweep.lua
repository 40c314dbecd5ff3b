#!lua flags=allow-oom
-- include sweeps
-- End a sweep that makes no more trials, once all that it has made have ended: failed where none has come to anything.
-- sweep, asked (how many trials it has, as the caller has seen it), trials (its budget then, '' = none), error (JSON), at
-- Answers {fields}; where it has changed meanwhile, it goes on.

local sweep = find_sweep(arg.sweep)
if not sweep then return refuse('sweep_not_found', arg.sweep) end
local live = sweep.status == 'running' or sweep.status == 'queued'
local open = redis.call('EXISTS', key('sweep', sweep.id, 'open'))
if live and open == 0 and sweep.asked == arg.asked and sweep.trials == arg.trials then
  local counts = redis.call('HMGET', sweep.key, 'succeeded', 'pruned')
  local came_to_something = tonumber(counts[1] or 0) + tonumber(counts[2] or 0) > 0
  move_sweep(sweep, came_to_something and 'succeeded' or 'failed', arg.at)
  if not came_to_something then redis.call('HSET', sweep.key, 'error', arg.error) end
end
if ENDED[sweep.status] and open == 0 then redis.call('SREM', key('sweeps-live'), sweep.id) end
return ok(sweep_fields(sweep.id))
