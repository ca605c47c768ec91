-- Objects take the place of others, in one step: those that go are noted, and what is stored nowhere else of them counts as deleted, each once
-- (as by `unstore`); those that stay are unfinished no more.
-- KEYS conv, gone, replacing, tomb, lease
-- ARGV holder, now_ms, kept_ms, number of those that stay, their names, then name and samples of each that goes
-- Answers {'ok', samples} | {'lost'}: somebody else may replace now, or has taken one of those that stay away, or a cut
-- that stands speaks of one of those that go | {'merging', by whom} | {'deleted'}
local conv, gone, replacing = KEYS[1], KEYS[2], KEYS[3]
-- Deleting must go on when memory is full, for it frees some: after a write that needs none, Redis lets those pass that do.
redis.call('HDEL', conv, '')
if redis.call('EXISTS', KEYS[4]) == 1 then return {'deleted'} end
local h = redis.call('HMGET', conv, 'merging', 'held', 'out', 'cut', 'again_cut')
if h[1] or h[2] then return {'merging', h[1] or h[2]} end
if redis.call('GET', KEYS[5]) ~= ARGV[1] then return {'lost'} end
local staying = tonumber(ARGV[4])
for i = 5, 4 + staying do
  -- Also where a pusher gave its name up just now: whoever looks at the names would delete it.
  if redis.call('HEXISTS', replacing, ARGV[i]) == 0 or redis.call('HEXISTS', gone, ARGV[i]) == 1 then return {'lost'} end
end
for i = 5 + staying, #ARGV, 2 do
  -- Nothing may be settled by an object that is deleted. The name stands in the cut byte for byte, whatever its version.
  for field = 4, 5 do
    if h[field] and string.find(h[field], ARGV[i], 1, true) then return {'lost'} end
  end
end
for i = 5, 4 + staying do redis.call('HDEL', replacing, ARGV[i]) end
local stored, deleted = tonumber(h[3] or '0'), 0
for i = 5 + staying, #ARGV, 2 do
  local known = redis.call('HGET', gone, ARGV[i])
  if not known or string.sub(known, 1, 1) == '+' then
    redis.call('HSET', gone, ARGV[i], ARGV[2])
    deleted = deleted + tonumber(ARGV[i + 1])
  end
end
redis.call('PEXPIRE', gone, ARGV[3])
-- Also where nothing else is known of the conversation any more: else nobody sees to the names.
local left_ms = redis.call('PTTL', conv)
redis.call('HSET', conv, 'gone', ARGV[2])
-- What was planned before this counts no more (`cut`).
if left_ms ~= -2 then redis.call('HINCRBY', conv, 'fence', 1) end
if left_ms ~= -1 then redis.call('PEXPIRE', conv, ARGV[3]) end
-- What was stored before Redis knew the conversation was never counted as received.
if deleted > stored then deleted = stored end
if deleted > 0 then
  redis.call('HINCRBY', conv, 'out', string.format('%.0f', -deleted))
  redis.call('HINCRBY', conv, 'deleted', string.format('%.0f', deleted))
end
return {'ok', string.format('%.0f', deleted)}
