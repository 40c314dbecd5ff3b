#!lua flags=no-writes
-- One model's record.
-- tenant; model (an id) or alias
-- Answers {document}.

local id, found = find_model()
if not id then return found end
return ok(found)
