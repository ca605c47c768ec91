-- A hint was followed: it is acknowledged and leaves the stream, in one step.
-- KEYS ready   ARGV group, entry id   Answers 1 if it was there
redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
return redis.call('XDEL', KEYS[1], ARGV[2])
