#!lua
-- include sweeps
-- Let a sweep have more trials; one that has ended by itself goes on.
-- sweep, tenant, trials, at
-- Answers {fields}.

local sweep = find_sweep(arg.sweep, arg.tenant)
if not sweep then return refuse('sweep_not_found', arg.sweep) end
if sweep.status == 'cancelled' then return refuse('illegal_sweep', sweep.id, 'extend', sweep.status) end
local before = sweep.trials ~= '' and tonumber(sweep.trials) or tonumber(sweep.asked)
if tonumber(arg.trials) < before then return refuse('fewer_trials', arg.trials, whole(before)) end
if tonumber(arg.trials) == before and sweep.trials ~= '' then return ok(sweep_fields(sweep.id)) end
for dataset in string.gmatch(sweep.datasets, '%S+') do
  if redis.call('EXISTS', key('dataset', dataset)) == 0 then return refuse('unknown_dataset', dataset, '/base/dataset') end
end
redis.call('HSET', sweep.key, 'trials', arg.trials)
move_sweep(sweep, ENDED[sweep.status] and 'running' or sweep.status, arg.at)
return ok(sweep_fields(sweep.id))
