-- A conversation under a tombstone has no object in the bucket any more: what was stored is deleted.
-- KEYS conv, tomb
-- Answers samples
-- Deleting must go on when memory is full, for it frees some: after a write that needs none, Redis lets those pass that do.
redis.call('HDEL', KEYS[1], '')
if redis.call('EXISTS', KEYS[2]) == 0 then return '0' end
-- Whoever failed before: nothing is left to be tried.
redis.call('HDEL', KEYS[1], 'fails', 'fails_why', 'fails_ms')
local stored = redis.call('HGET', KEYS[1], 'out')
if not stored then return '0' end
redis.call('HINCRBY', KEYS[1], 'deleted', stored)
redis.call('HDEL', KEYS[1], 'out')
return stored
