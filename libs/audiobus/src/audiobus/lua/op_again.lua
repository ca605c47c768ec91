-- Begins an operation that is done anew: what came of it before is forgotten. No more than so many of a kind are undone for a user.
-- KEYS operation, operations, those of this kind and user
-- ARGV id, the most that may be undone then, kept_ms, then fields and values
-- Answers 1 if it is begun now, 0 if it is not done, or not there, -1 if as many are undone
-- Deleting must go on when memory is full, for it frees some: after a write that needs none, Redis lets those pass that do.
redis.call('HDEL', KEYS[1], '')
if redis.call('HEXISTS', KEYS[1], 'done') == 0 then return 0 end
local undone = 0
for _, id in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do
  if redis.call('ZSCORE', KEYS[2], id) then undone = undone + 1 end
end
if undone >= tonumber(ARGV[2]) then return -1 end
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'created', now, unpack(ARGV, 4))
redis.call('ZADD', KEYS[2], now, ARGV[1])
-- As with one that is begun: whoever has seen the others sees that this one is newer.
local last = redis.call('ZREVRANGE', KEYS[3], 0, 0, 'WITHSCORES')
if last[2] and tonumber(last[2]) >= tonumber(now) then now = string.format('%.0f', last[2] + 1) end
redis.call('ZADD', KEYS[3], now, ARGV[1])
redis.call('PEXPIRE', KEYS[3], ARGV[3])
return 1
