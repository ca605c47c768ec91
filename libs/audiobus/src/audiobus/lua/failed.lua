-- A conversation was drained in vain: how often in a row, beside Redis' own count of deliveries, and why. A finish takes it off.
-- KEYS conv
-- ARGV why, now_ms
-- Answers how often
local conv = KEYS[1]
-- Draining must go on when memory is full, or it is never freed: after a write that needs none, Redis lets those pass that do.
redis.call('HDEL', conv, '')
if redis.call('HEXISTS', conv, 'newest') == 0 then return 0 end
redis.call('HSET', conv, 'fails_why', ARGV[1], 'fails_ms', ARGV[2])
return redis.call('HINCRBY', conv, 'fails', 1)
