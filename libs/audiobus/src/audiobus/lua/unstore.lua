-- Notes that objects are to be deleted from the bucket, and counts what they held as deleted. Each is noted, and counted, once. What was only
-- given up before ('+', its audio lies elsewhere) is deleted from now on.
-- KEYS conv, gone, audio, dead
-- ARGV now_ms (a '0' before it where the object was only withdrawn), kept_ms, then name and samples of each object: behind these, after a space, the id of its last entry, where that is known
-- Answers the samples that were counted
local conv, gone = KEYS[1], KEYS[2]
-- Deleting must go on when memory is full, for it frees some: after a write that needs none, Redis lets those pass that do.
redis.call('HDEL', conv, '')
local h = redis.call('HMGET', conv, 'out', 'cut', 'again_cut')
local stored, cuts = tonumber(h[1] or '0'), {cut = h[2], again_cut = h[3]}
local deleted = 0
for i = 3, #ARGV, 2 do
  local known = redis.call('HGET', gone, ARGV[i])
  if not known or string.sub(known, 1, 1) == '+' then
    redis.call('HSET', gone, ARGV[i], ARGV[1])
    local samples, last = string.match(ARGV[i + 1], '^(%S*) ?(.*)$')
    -- As long as its entries lie in the buffer, or among the dead letters, it is put and not settled: they are counted where they lie.
    if last == '' or (#redis.call('XRANGE', KEYS[3], last, last) == 0 and redis.call('HEXISTS', KEYS[4], last) == 0) then
      deleted = deleted + tonumber(samples)
    end
  end
  -- Nothing may be settled by an object that is deleted: what was cut for it is cut anew, or cleared.
  for field, cut in pairs(cuts) do
    if cut and ARGV[i] ~= '' and string.find(cut, ARGV[i], 1, true) then redis.call('HDEL', conv, field) end
  end
end
redis.call('PEXPIRE', gone, ARGV[2])
-- Also where nothing else is known of the conversation any more: else nobody sees to the names.
local left_ms = redis.call('PTTL', conv)
redis.call('HSET', conv, 'gone', ARGV[1])
-- What was planned before this counts no more (`cut`).
if left_ms ~= -2 then redis.call('HINCRBY', conv, 'fence', 1) end
if left_ms ~= -1 then redis.call('PEXPIRE', conv, ARGV[2]) end
-- What was stored before Redis knew the conversation was never counted as received.
if deleted > stored then deleted = stored end
if deleted > 0 then
  redis.call('HINCRBY', conv, 'out', string.format('%.0f', -deleted))
  redis.call('HINCRBY', conv, 'deleted', string.format('%.0f', deleted))
end
return string.format('%.0f', deleted)
