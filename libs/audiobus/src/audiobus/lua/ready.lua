-- Hints that a conversation should be looked at now.
-- KEYS ready   ARGV conversation, reason
-- Draining must go on when memory is full, or it is never freed: after a write that needs none, Redis lets those pass that do.
redis.call('XDEL', KEYS[1], '0-1')
return redis.call('XADD', KEYS[1], '*', 'c', ARGV[1], 'r', ARGV[2])
