-- No dead letter is marked for another try any more, if none was marked since that was seen.
-- KEYS conv
-- ARGV `again` as read
-- Answers 1 if that is so
-- Draining must go on when memory is full, or it is never freed: after a write that needs none, Redis lets those pass that do.
redis.call('HDEL', KEYS[1], '')
if redis.call('HGET', KEYS[1], 'again') ~= ARGV[1] then return 0 end
return redis.call('HDEL', KEYS[1], 'again')
