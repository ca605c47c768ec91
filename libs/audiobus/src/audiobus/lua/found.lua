-- A walk has found a conversation: it is put on `due` where it is missing there, or stands later than anybody would put it.
-- KEYS due   ARGV conversation, unix ms, latest unix ms or ''   Answers 1 if it was put there
-- Draining must go on when memory is full, or it is never freed: after a write that needs none, Redis lets those pass that do.
redis.call('ZREM', KEYS[1], '')
local stands = redis.call('ZSCORE', KEYS[1], ARGV[1])
-- By a clock that is ahead it was put there: until that time comes nobody would look.
if stands and (ARGV[3] == '' or tonumber(stands) <= tonumber(ARGV[3])) then return 0 end
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
return 1
