-- Begins an operation that is done anew: what came of it before is forgotten.
-- KEYS operation, operations
-- ARGV id, then fields and values
-- Answers 1 if it is begun now, 0 if it is not done, or not there
-- Deleting must go on when memory is full, for it frees some: after a write that needs none, Redis lets those pass that do.
redis.call('HDEL', KEYS[1], '')
if redis.call('HEXISTS', KEYS[1], 'done') == 0 then return 0 end
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'created', now, unpack(ARGV, 2))
redis.call('ZADD', KEYS[2], now, ARGV[1])
return 1
