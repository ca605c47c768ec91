-- A merge lets go of a conversation: it goes on where it stood.
-- KEYS conv
-- ARGV operation
-- Answers 1 if that merge had it
local h = redis.call('HMGET', KEYS[1], 'merging_by', 'held')
local had = 0
if string.match(h[1] or '', '^(%S+) ') == ARGV[1] then had = redis.call('HDEL', KEYS[1], 'merging', 'merging_by') end
if h[2] == ARGV[1] then had = had + redis.call('HDEL', KEYS[1], 'held') end
if had > 0 then redis.call('HDEL', KEYS[1], 'merge_until', 'merge_grace') end
return had > 0 and 1 or 0
