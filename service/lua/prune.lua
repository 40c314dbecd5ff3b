#!lua flags=allow-oom
-- Finish a trial's job that its sweep's pruner has stopped, with what it leaves. It comes before any flag that is not yet
-- obeyed.
-- job, token, result (JSON), at, transitions
-- Answers {}; to the token that did it, again.

return finish('prune', 'cancelled', 'result')
