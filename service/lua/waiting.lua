#!lua flags=no-writes
-- The first queued jobs that wait for slots, in the order in which they would be claimed if each got its width.
-- count, capacity (slots: who needs more is left out), max_running (of one tenant's jobs, or none)
-- Answers {{id, priority, width, max_slots} …}.

local count = tonumber(arg.count)
local lines = {}
for _, tenant in ipairs(redis.call('SMEMBERS', key('queue-tenants'))) do
  local line = {share = share_of(tenant), place = 1}
  for _, width in ipairs(redis.call('ZRANGEBYSCORE', key('queue-widths', tenant), '-inf', arg.capacity)) do
    local found = redis.call('ZRANGE', key('queue', tenant, width), 0, count - 1, 'WITHSCORES')
    for i = 1, #found, 2 do
      line[#line + 1] = {id = found[i], score = tonumber(found[i + 1]), width = width, share = line.share}
    end
  end
  table.sort(line, function(one, other) return one.score < other.score end)
  lines[#lines + 1] = line
end

local answer, turn = {'ok'}, tonumber(redis.call('GET', key('token')) or 0)
while #answer <= count do
  local best
  for _, line in ipairs(lines) do
    local head = line[line.place]
    local allowed = head and (not arg.max_running or line.share.jobs < tonumber(arg.max_running))
    if allowed and (not best or goes_before(head, best[best.place])) then best = line end
  end
  if not best then break end
  local job, share = best[best.place], best.share
  answer[#answer + 1] = {job.id, whole(priority_of(job.score)), job.width, redis.call('HGET', key('job', job.id), 'max_slots')}
  turn = turn + 1
  best.place, share.jobs, share.slots, share.served = best.place + 1, share.jobs + 1, share.slots + job.width, turn
end
return answer
