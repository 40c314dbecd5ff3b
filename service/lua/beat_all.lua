#!lua flags=allow-oom
-- Beat for several running jobs, each under its own lease: record the metrics of its epochs, then renew its lease.
-- count; of each, with its number from 1 behind the name: job, token, attempt_ms, progress (JSON, or none), announce (1,
-- or none), first and rows (as for record_epochs, or none)
-- Answers {'' | cancel | pause | lost | gap N, …}, one each: what is asked of it; or that its lease is held by another, or
-- that epoch N is the next to record, and nothing is written of this one.

local answer = {'ok'}
for number = 1, tonumber(arg.count) do
  local function given(name) return arg[name .. number] end
  local job = find_job(given('job'))
  if not holds_lease(job, given('token')) then
    answer[#answer + 1] = 'lost'
  else
    local _, missing
    if given('rows') then _, missing = record_rows(job, given('first'), given('rows')) end
    if missing then
      answer[#answer + 1] = 'gap ' .. missing
    else
      renew(job, given('attempt_ms'), given('progress'), given('announce'))
      answer[#answer + 1] = job.requested
    end
  end
end
return answer
