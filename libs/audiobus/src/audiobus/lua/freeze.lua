-- A merge takes hold of a conversation that it will take away: nothing is opened or appended any more, but for what a socket that appended lately
-- and has not ended its session has still to bring. A repeat answers the same token, and puts that off no further.
-- KEYS conv, tomb
-- ARGV conversation that it goes into, operation, word that no other freezing has, until when it stands by itself in unix ms,
--      until when that is brought in unix ms, since when it is lately in unix ms
-- Answers {'ok', token, until when that is brought or ''} | {'tomb', tombstone} | {'held', operation}: another merge has it
-- It takes next to nothing, and deletes in the end: after a write that needs no memory, Redis lets those pass that do.
redis.call('HDEL', KEYS[1], '')
local tomb = redis.call('GET', KEYS[2])
if tomb then return {'tomb', tomb} end
local h = redis.call('HMGET', KEYS[1], 'merging', 'merging_by', 'held', 'merge_grace', 'newest', 'closed', 'last_ms')
if h[3] and h[3] ~= ARGV[2] then return {'held', h[3]} end
if h[1] or h[2] then
  local by = string.match(h[2] or '', '^(%S+) ')
  if by ~= ARGV[2] then return {'held', by or ''} end
  if h[1] then
    redis.call('HSET', KEYS[1], 'merge_until', ARGV[4])
    return {'ok', h[2], h[4] or ''}
  end
end
-- Whoever thaws it takes the token away: what was read under an earlier one tells nothing of what was recorded in between.
local token = ARGV[2] .. ' ' .. ARGV[3]
redis.call('HSET', KEYS[1], 'merging', ARGV[1], 'merging_by', token, 'merge_until', ARGV[4])
local over = not h[5] or string.match(h[5], '^(%d+)-') == h[6]
if over or tonumber(h[7] or '0') < tonumber(ARGV[6]) then
  redis.call('HDEL', KEYS[1], 'merge_grace')
  return {'ok', token, ''}
end
redis.call('HSET', KEYS[1], 'merge_grace', ARGV[5])
return {'ok', token, ARGV[5]}
