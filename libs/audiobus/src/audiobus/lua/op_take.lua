-- Takes the lease of an operation, if it is nobody's any more. Nothing is written about it without that.
-- A lease that ended without having been given back is a process that died, or hung: that is counted, and where it happens again and again the
-- operation is left alone for a while, each time twice as long, and says why.
-- KEYS operation, operations, failing
-- ARGV id, holder, lease_ms, what is told of such an end, first and longest pause in ms
-- Answers 1 if it is the holder's now; 0 if it is another's, left alone, done, forgotten, or none of ours
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function at(ms) return string.format('%.0f', now + ms) end
local kind = redis.call('TYPE', KEYS[1]).ok
if kind ~= 'hash' and kind ~= 'none' then
  -- Somebody else's: the others go on.
  redis.call('ZREM', KEYS[2], '')
  redis.call('ZADD', KEYS[2], at(tonumber(ARGV[6])), ARGV[1])
  return 0
end
-- Deleting must go on when memory is full, for it frees some: after a write that needs none, Redis lets those pass that do.
redis.call('HDEL', KEYS[1], '')
local h = redis.call('HMGET', KEYS[1], 'kind', 'done', 'holder', 'until', 'lost')
if not h[1] or h[2] then
  redis.call('ZREM', KEYS[2], ARGV[1])
  redis.call('SREM', KEYS[3], ARGV[1])
  return 0
end
if h[3] and h[3] ~= ARGV[2] then
  local till = tonumber(h[4] or '')
  if till and till > now then
    redis.call('ZADD', KEYS[2], h[4], ARGV[1])
    return 0
  end
  local lost = (tonumber(h[5] or '') or 0) + 1
  redis.call('HSET', KEYS[1], 'lost', string.format('%.0f', lost))
  if lost > 1 then
    redis.call('HDEL', KEYS[1], 'holder', 'until')
    redis.call('HSET', KEYS[1], 'error', ARGV[4])
    redis.call('SADD', KEYS[3], ARGV[1])
    redis.call('ZADD', KEYS[2], at(math.min(ARGV[5] * 2 ^ math.min(lost - 2, 30), ARGV[6])), ARGV[1])
    return 0
  end
end
local till = at(ARGV[3])
redis.call('HSET', KEYS[1], 'holder', ARGV[2], 'until', till)
redis.call('ZADD', KEYS[2], till, ARGV[1])
return 1
