-- Sets when a conversation must be looked at.
-- KEYS due   ARGV conversation, unix ms, '1' if only earlier than it stands
-- Draining must go on when memory is full, or it is never freed: after a write that needs none, Redis lets those pass that do.
redis.call('ZREM', KEYS[1], '')
if ARGV[3] == '1' then return redis.call('ZADD', KEYS[1], 'LT', ARGV[2], ARGV[1]) end
return redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
