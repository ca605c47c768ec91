-- Notes that somebody takes files of everything that waits, and may copy them into the bucket: whoever cuts looks there first.
-- KEYS conv
-- Answers 1, or 0 if nobody ever recorded into it
-- Whoever saves audio must not be stopped by full memory: after a write that needs none, Redis lets those pass that do.
redis.call('HDEL', KEYS[1], '')
local newest = redis.call('HGET', KEYS[1], 'newest')
if not newest then return 0 end
redis.call('HSET', KEYS[1], 'exported', newest)
return 1
