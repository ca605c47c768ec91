-- Hints at what is past due. The new due time comes first, so that a process that dies here loses a little time, never audio.
-- KEYS due, ready   ARGV now_ms, next due_ms, limit   Answers how many were hinted at
-- Draining must go on when memory is full, or it is never freed: after a write that needs none, Redis lets those pass that do.
redis.call('ZREM', KEYS[1], '')
local members = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[3])
for _, member in ipairs(members) do
  redis.call('ZADD', KEYS[1], ARGV[2], member)
  redis.call('XADD', KEYS[2], '*', 'c', member, 'r', 'due')
end
return #members
