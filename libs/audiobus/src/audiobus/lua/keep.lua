-- Holds on to a lease, and takes none that ran out: somebody else may have had it since.
-- KEYS lease   ARGV holder, ttl_ms   Answers 1 if it is the holder's still
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
