-- What was stored of a conversation that went into this one counts here from now on, once.
-- KEYS conv
-- ARGV conversation that it came from, the tombstone there, samples, kept_ms, then id of each conversation that went into that one before
-- Answers 1 if it was counted now
-- It takes next to nothing, and deletes in the end: after a write that needs no memory, Redis lets those pass that do.
redis.call('HDEL', KEYS[1], '')
local field = 'from:' .. ARGV[1]
if redis.call('HGET', KEYS[1], field) == ARGV[2] then return 0 end
local left_ms = redis.call('PTTL', KEYS[1])
redis.call('HSET', KEYS[1], field, ARGV[2])
for i = 5, #ARGV do redis.call('HSETNX', KEYS[1], 'from:' .. ARGV[i], 'by ' .. ARGV[1]) end
redis.call('HINCRBY', KEYS[1], 'in', ARGV[3])
redis.call('HINCRBY', KEYS[1], 'out', ARGV[3])
-- Of what nobody ever recorded into Redis need not know for ever.
if left_ms ~= -1 or redis.call('HEXISTS', KEYS[1], 'newest') == 0 then redis.call('PEXPIRE', KEYS[1], ARGV[4]) end
return 1
