#!lua
-- include sweeps
-- Record a trial whose job's spec is refused: it has failed, and has no job.
-- sweep, trial, repetition (0), parallel, params, attributes, study_attributes, error (JSON), at
-- Answers {}; again, once it is there.

local sweep = find_sweep(arg.sweep)
local trial = key('sweep', arg.sweep, 'trial', arg.trial)
if redis.call('HGET', trial, 'status') then return ok() end
local made, refused = admit_trial(sweep)
if refused then return refused end
record_trial(sweep, made or '')
redis.call('HSET', trial, 'error', arg.error)
end_trial(sweep, arg.trial, 'failed', arg.at)
return ok()
