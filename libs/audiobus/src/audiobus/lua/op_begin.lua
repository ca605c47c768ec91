-- Writes down an operation, once: a repeat leaves the first.
-- KEYS operation, operations
-- ARGV id, then fields and values
-- Answers 1 if it was written down, 0 if it was there
-- Deleting must go on when memory is full, for it frees some: after a write that needs none, Redis lets those pass that do.
redis.call('HDEL', KEYS[1], '')
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[1], 'created', string.format('%.0f', now), unpack(ARGV, 2))
redis.call('ZADD', KEYS[2], string.format('%.0f', now), ARGV[1])
return 1
