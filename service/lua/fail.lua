#!lua flags=allow-oom
-- Finish a job that cannot succeed, with what went wrong. It comes before any flag that is not yet obeyed.
-- job, token, error (JSON), at, transitions
-- Answers {}; to the token that did it, again.

return finish('fail', 'failed', 'error')
