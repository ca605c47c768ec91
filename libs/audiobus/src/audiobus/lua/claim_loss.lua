-- Notes that bytes of a session are counted as lost, so that nobody counts them again. It holds no audio, and goes by itself.
-- KEYS lost
-- ARGV epoch, first offset, last offset, holder, ttl_ms
-- Answers how many of them nobody had counted before
local lost = KEYS[1]
-- When memory is full this must go on as well: after a write that needs none, Redis lets those pass that do.
redis.call('HDEL', lost, '')
local since, upto = tonumber(ARGV[2]), tonumber(ARGV[3])
local new = upto - since
local first, last, count, who = string.match(redis.call('HGET', lost, ARGV[1]) or '', '^(%d+)-(%d+) (%d+) (.*)$')
-- The same claim once more: its answer was lost.
if who == ARGV[4] then return tonumber(count) end
first, last = tonumber(first), tonumber(last)
if first and since <= last and first <= upto then
  new = new - (math.min(upto, last) - math.max(since, first))
  since, upto = math.min(since, first), math.max(upto, last)
end
redis.call('HSET', lost, ARGV[1], string.format('%.0f-%.0f %.0f ', since, upto, new) .. ARGV[4])
redis.call('PEXPIRE', lost, ARGV[5])
return new
