#!lua
-- include sweeps
-- Record a trial whose next job's spec is refused: it has failed; one that has jobs already is told when these have ended.
-- sweep, trial, repetition, parallel, params, attributes, study_attributes, error (JSON), at
-- Answers {}; again, once it is there.

local sweep = find_sweep(arg.sweep)
local trial = key('sweep', arg.sweep, 'trial', arg.trial)
if redis.call('HGET', trial, 'status') then return ok() end
local made, refused = admit_trial(sweep)
if made or refused then return refused or refuse('no_trial', sweep.id, arg.trial, sweep.status) end
if redis.call('HGET', trial, 'jobs') then
  redis.call('HSET', trial, 'error', arg.error)
  return ok()
end
record_trial(sweep, '')
redis.call('HSET', trial, 'error', arg.error)
end_trial(sweep, arg.trial, 'failed', arg.at)
return ok()
