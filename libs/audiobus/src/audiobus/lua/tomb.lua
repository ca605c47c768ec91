-- Sets the tombstone of a conversation, once: a repeat leaves the first.
-- KEYS tomb
-- ARGV unix ms and, after a space, the conversation that it was merged into, if any; ttl_ms
-- Answers the tombstone that stands
local stands = redis.call('GET', KEYS[1])
if stands then return stands end
-- Deleting must go on when memory is full, for it frees some: after a write that needs none, Redis lets those pass that do.
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return ARGV[1]
