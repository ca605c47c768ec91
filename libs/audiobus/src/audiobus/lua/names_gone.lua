-- The bucket holds none of these names any more, and no put of them can be under way.
-- KEYS conv, gone
-- ARGV name and the time noted with it, as read and without its '+' or '0', of each
-- Answers how many others are left to be seen to
local conv, gone = KEYS[1], KEYS[2]
-- Deleting must go on when memory is full, for it frees some: after a write that needs none, Redis lets those pass that do.
redis.call('HDEL', conv, '')
for i = 1, #ARGV, 2 do
  -- The name stays noted: nothing may be put under it again.
  local at = redis.call('HGET', gone, ARGV[i])
  if at == ARGV[i + 1] then redis.call('HSET', gone, ARGV[i], '0') end
  if at == '+' .. ARGV[i + 1] then redis.call('HSET', gone, ARGV[i], '+0') end
  if at == '0' .. ARGV[i + 1] then redis.call('HSET', gone, ARGV[i], '00') end
end
local left = 0
for _, at in ipairs(redis.call('HVALS', gone)) do
  if at ~= '0' and at ~= '+0' and at ~= '00' then left = left + 1 end
end
if left == 0 then redis.call('HDEL', conv, 'gone') end
return left
