-- Puts a dead letter in the place of itself: what else is known of it now. `again` grows where it is marked for another try.
-- KEYS conv, dead
-- ARGV entry id, letter as read, letter, '1' if it is marked for another try
-- Answers {'ok'} | {'other'}: it is not what was read, or gone | {'unknown'}: nothing is known of its conversation any more
local conv, dead = KEYS[1], KEYS[2]
-- Draining must go on when memory is full, or it is never freed: after a write that needs none, Redis lets those pass that do.
redis.call('HDEL', conv, '')
if redis.call('HGET', dead, ARGV[1]) ~= ARGV[2] then return {'other'} end
if redis.call('HEXISTS', conv, 'newest') == 0 then return {'unknown'} end
redis.call('HSET', dead, ARGV[1], ARGV[3])
if ARGV[4] == '1' then redis.call('HINCRBY', conv, 'again', 1) end
return {'ok'}
