-- Writes down an operation, once: a repeat leaves the first. No more than so many of a kind are undone for a user.
-- KEYS operation, operations, those of this kind and user
-- ARGV id, the most that may be undone then, or 0 for any number, kept_ms, how long ago those that are done were begun that leave, how many
--   may be left then, then fields and values
-- Answers 1 if it was written down, 0 if it was there, -1 if as many are undone
-- Deleting must go on when memory is full, for it frees some: after a write that needs none, Redis lets those pass that do.
redis.call('HDEL', KEYS[1], '')
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
local undone = 0
local begun = redis.call('ZRANGE', KEYS[3], 0, -1, 'WITHSCORES')
for at = 1, #begun, 2 do
  if redis.call('ZSCORE', KEYS[2], begun[at]) then
    undone = undone + 1
  elseif tonumber(begun[at + 1]) < now - ARGV[4] or (#begun - at - 1) / 2 >= tonumber(ARGV[5]) - 1 then
    redis.call('ZREM', KEYS[3], begun[at])
  end
end
if tonumber(ARGV[2]) > 0 and undone >= tonumber(ARGV[2]) then return -1 end
redis.call('HSET', KEYS[1], 'created', now, unpack(ARGV, 6))
redis.call('ZADD', KEYS[2], now, ARGV[1])
-- In the order in which they were begun, also within a millisecond.
local last = redis.call('ZREVRANGE', KEYS[3], 0, 0, 'WITHSCORES')
if last[2] and tonumber(last[2]) >= tonumber(now) then now = string.format('%.0f', last[2] + 1) end
redis.call('ZADD', KEYS[3], now, ARGV[1])
-- What was done long ago leaves with the next that is begun, or with time.
redis.call('PEXPIRE', KEYS[3], ARGV[3])
return 1
