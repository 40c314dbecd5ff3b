#!lua flags=no-writes
-- include sweeps
-- One sweep's record.
-- sweep, tenant (none: whoever's)
-- Answers {fields}.

if not find_sweep(arg.sweep, arg.tenant) then return refuse('sweep_not_found', arg.sweep) end
return ok(sweep_fields(arg.sweep))
