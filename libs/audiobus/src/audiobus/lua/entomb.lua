-- Deletes a conversation that no merge holds, once: a repeat leaves the first tombstone.
-- KEYS tomb, conv
-- ARGV unix ms, ttl_ms
-- Answers {'set' or 'stands', the tombstone, samples received} | {'merging', target}, or the operation that copies into or out of it
-- Deleting must go on when memory is full, for it frees some: after a write that needs none, Redis lets those pass that do.
redis.call('HDEL', KEYS[2], '')
local stands = redis.call('GET', KEYS[1])
local h = redis.call('HMGET', KEYS[2], 'in', 'merging', 'held')
if stands then return {'stands', stands, h[1] or '0'} end
if h[2] or h[3] then return {'merging', h[2] or h[3]} end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return {'set', ARGV[1], h[1] or '0'}
