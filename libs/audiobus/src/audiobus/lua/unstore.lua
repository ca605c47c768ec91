-- Notes that objects are to be deleted from the bucket, and counts what they held as deleted. Each is noted, and counted, once.
-- KEYS conv, gone
-- ARGV now_ms, kept_ms, then name and samples of each object
-- Answers the samples that were counted
local conv, gone = KEYS[1], KEYS[2]
-- Deleting must go on when memory is full, for it frees some: after a write that needs none, Redis lets those pass that do.
redis.call('HDEL', conv, '')
local stored = tonumber(redis.call('HGET', conv, 'out') or '0')
local deleted = 0
for i = 3, #ARGV, 2 do
  if redis.call('HSETNX', gone, ARGV[i], ARGV[1]) == 1 then deleted = deleted + tonumber(ARGV[i + 1]) end
end
redis.call('PEXPIRE', gone, ARGV[2])
if redis.call('EXISTS', conv) == 1 then
  redis.call('HSET', conv, 'gone', ARGV[1])
  -- What was planned before this counts no more (`cut`).
  redis.call('HINCRBY', conv, 'fence', 1)
end
-- What was stored before Redis knew the conversation was never counted as received.
if deleted > stored then deleted = stored end
if deleted > 0 then
  redis.call('HINCRBY', conv, 'out', string.format('%.0f', -deleted))
  redis.call('HINCRBY', conv, 'deleted', string.format('%.0f', deleted))
end
return string.format('%.0f', deleted)
