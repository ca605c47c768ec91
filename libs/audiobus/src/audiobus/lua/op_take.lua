-- Takes the lease of an operation, if it is nobody's any more. Nothing is written about it without that.
-- KEYS operation, operations   ARGV id, holder, lease_ms
-- Answers 1 if it is the holder's now; 0 if it is another's, done, or forgotten
-- Deleting must go on when memory is full, for it frees some: after a write that needs none, Redis lets those pass that do.
redis.call('HDEL', KEYS[1], '')
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local h = redis.call('HMGET', KEYS[1], 'kind', 'done', 'holder', 'until')
if not h[1] or h[2] then
  redis.call('ZREM', KEYS[2], ARGV[1])
  return 0
end
if h[3] and h[3] ~= ARGV[2] and tonumber(h[4]) > now then
  redis.call('ZADD', KEYS[2], h[4], ARGV[1])
  return 0
end
local till = string.format('%.0f', now + ARGV[3])
redis.call('HSET', KEYS[1], 'holder', ARGV[2], 'until', till)
redis.call('ZADD', KEYS[2], till, ARGV[1])
return 1
