-- Takes consumers off the group that hold nothing and got nothing for a long time: their names may never come back. Who asks is made again.
-- KEYS ready   ARGV group, longest silence_ms   Answers how many
local key = KEYS[1]
if redis.call('EXISTS', key) == 0 then return 0 end
local consumers = redis.pcall('XINFO', 'CONSUMERS', key, ARGV[1])
if consumers.err then
  if string.find(consumers.err, 'NOGROUP', 1, true) then return 0 end
  return consumers
end
-- Draining must go on when memory is full, or it is never freed: after a write that needs none, Redis lets those pass that do.
redis.call('XDEL', key, '0-1')
local count = 0
for _, consumer in ipairs(consumers) do
  local fields = {}
  for i = 1, #consumer, 2 do fields[consumer[i]] = consumer[i + 1] end
  if fields['pending'] == 0 and fields['idle'] > tonumber(ARGV[2]) then
    redis.call('XGROUP', 'DELCONSUMER', key, ARGV[1], fields['name'])
    count = count + 1
  end
end
return count
