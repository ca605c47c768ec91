-- Notes times at which something was deleted, so that asking again selects nothing.
-- KEYS gone
-- ARGV kept_ms; then what is noted of each
-- Noting must go on when memory is full: after a write that needs none, Redis lets those pass that do.
redis.call('HDEL', KEYS[1], '')
for i = 2, #ARGV do
  -- There is nothing to be seen to.
  redis.call('HSET', KEYS[1], ARGV[i], '0')
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return #ARGV - 1
