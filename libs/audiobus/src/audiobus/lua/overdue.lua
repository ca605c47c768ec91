-- Lets go of a conversation whose merge has not been heard of for long.
-- KEYS conv
-- ARGV
-- Answers 1 if nothing holds it now
-- Deleting must go on when memory is full, for it frees some: after a write that needs none, Redis lets those pass that do.
redis.call('HDEL', KEYS[1], '')
local h = redis.call('HMGET', KEYS[1], 'merging', 'held', 'merge_until')
if not h[1] and not h[2] then return 1 end
if not tonumber(h[3] or '') or tonumber(redis.call('TIME')[1]) * 1000 < tonumber(h[3]) then return 0 end
redis.call('HDEL', KEYS[1], 'merging', 'merging_by', 'held', 'merge_until', 'merge_grace')
return 1
