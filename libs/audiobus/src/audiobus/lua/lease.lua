-- Takes, or holds on to, the lease of a conversation. Thrift, not safety: the scripts above are safe without it.
-- KEYS lease   ARGV holder, ttl_ms   Answers 1 if it is the holder's now
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
-- Draining must go on when memory is full, or it is never freed: after a write that needs none, Redis lets those pass that do.
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
