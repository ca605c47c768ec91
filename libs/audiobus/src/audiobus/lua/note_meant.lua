-- Notes what times meant by which something is about to be deleted.
-- KEYS meant, lease
-- ARGV holder, kept_ms, '1' if what is noted of a time already stays, number of times that are noted no more, these times,
--      then time and note of each
-- Answers 1, or 0 where somebody else may replace objects by now: nothing is noted
-- Deleting must go on when memory is full, for it frees some: after a write that needs none, Redis lets those pass that do.
redis.call('HDEL', KEYS[1], '')
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
local leaving = tonumber(ARGV[4])
for i = 5, 4 + leaving do redis.call('HDEL', KEYS[1], ARGV[i]) end
for i = 5 + leaving, #ARGV, 2 do
  redis.call(ARGV[3] == '1' and 'HSETNX' or 'HSET', KEYS[1], ARGV[i], ARGV[i + 1])
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
