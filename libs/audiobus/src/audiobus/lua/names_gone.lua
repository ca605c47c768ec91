-- The bucket holds none of these names any more, and no put of them can be under way.
-- KEYS conv, gone, since
-- ARGV now_ms, kept_ms, then name and the time noted with it, as read and without its '+' or '0', of each
-- Answers how many others are left to be seen to
local conv, gone, since = KEYS[1], KEYS[2], KEYS[3]
-- Deleting must go on when memory is full, for it frees some: after a write that needs none, Redis lets those pass that do.
redis.call('HDEL', conv, '')
local over = {['0'] = true, ['+0'] = true, ['00'] = true}
for i = 3, #ARGV, 2 do
  -- The name stays noted for as long again: nothing may be put under it.
  local at = redis.call('HGET', gone, ARGV[i])
  for _, mark in ipairs({'', '+', '0'}) do
    if at == mark .. ARGV[i + 1] then
      redis.call('HSET', gone, ARGV[i], mark .. '0')
      redis.call('ZADD', since, ARGV[1], ARGV[i])
    end
  end
end
for _, name in ipairs(redis.call('ZRANGEBYSCORE', since, '-inf', tonumber(ARGV[1]) - tonumber(ARGV[2]))) do
  -- One that was noted again meanwhile waits to be seen to again.
  if over[redis.call('HGET', gone, name) or ''] then redis.call('HDEL', gone, name) end
  redis.call('ZREM', since, name)
end
local left, rows = 0, redis.call('HGETALL', gone)
for i = 2, #rows, 2 do
  if not over[rows[i]] then left = left + 1 end
end
if #rows / 2 - left > redis.call('ZCARD', since) then
  -- Those that builds noted that kept no such times: from now on.
  for i = 2, #rows, 2 do
    if over[rows[i]] then redis.call('ZADD', since, 'NX', ARGV[1], rows[i - 1]) end
  end
end
-- What was seen to just now may have been noted long ago, where a bucket was away.
if redis.call('PEXPIRE', gone, ARGV[2]) == 1 then redis.call('PEXPIRE', since, ARGV[2]) else redis.call('DEL', since) end
if left == 0 then redis.call('HDEL', conv, 'gone') end
return left
