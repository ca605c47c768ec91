-- Writes down how far an operation is, if it is still the holder's.
-- KEYS operation, operations, failing
-- ARGV id; holder; 'hold': it stays the holder's for so many ms; 'later': nobody's, and looked at in so many ms; 'done': kept for so many ms; ms;
--      then fields and values
-- Answers 1 if it was written, 0 if it is another's by now, done, or forgotten
-- Deleting must go on when memory is full, for it frees some: after a write that needs none, Redis lets those pass that do.
redis.call('HDEL', KEYS[1], '')
if redis.call('HGET', KEYS[1], 'holder') ~= ARGV[2] then return 0 end
if #ARGV > 4 then redis.call('HSET', KEYS[1], unpack(ARGV, 5)) end
for i = 5, #ARGV, 2 do
  if ARGV[i] == 'tries' then
    redis.call(tonumber(ARGV[i + 1]) > 0 and 'SADD' or 'SREM', KEYS[3], ARGV[1])
  end
end
-- Whoever gives it back has not died of it.
if ARGV[3] ~= 'hold' then redis.call('HDEL', KEYS[1], 'holder', 'until', 'lost') end
if ARGV[3] == 'done' then
  redis.call('HSET', KEYS[1], 'done', '1')
  redis.call('ZREM', KEYS[2], ARGV[1])
  redis.call('SREM', KEYS[3], ARGV[1])
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
  return 1
end
local time = redis.call('TIME')
local at = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[4])
redis.call('ZADD', KEYS[2], at, ARGV[1])
if ARGV[3] == 'hold' then redis.call('HSET', KEYS[1], 'until', at) end
return 1
