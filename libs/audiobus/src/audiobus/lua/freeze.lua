-- A merge takes hold of a conversation that it will take away: nothing is opened or appended any more. A repeat answers the same token.
-- KEYS conv, tomb
-- ARGV conversation that it goes into, operation, word that no other freezing has, until when it stands by itself in unix ms
-- Answers {'ok', token} | {'tomb', tombstone} | {'held', operation}: another merge has it
-- It takes next to nothing, and deletes in the end: after a write that needs no memory, Redis lets those pass that do.
redis.call('HDEL', KEYS[1], '')
local tomb = redis.call('GET', KEYS[2])
if tomb then return {'tomb', tomb} end
local h = redis.call('HMGET', KEYS[1], 'merging', 'merging_by', 'held')
if h[3] and h[3] ~= ARGV[2] then return {'held', h[3]} end
if h[1] or h[2] then
  local by = string.match(h[2] or '', '^(%S+) ')
  if by ~= ARGV[2] then return {'held', by or ''} end
  if h[1] then
    redis.call('HSET', KEYS[1], 'merge_until', ARGV[4])
    return {'ok', h[2]}
  end
end
-- Whoever thaws it takes the token away: what was read under an earlier one tells nothing of what was recorded in between.
local token = ARGV[2] .. ' ' .. ARGV[3]
redis.call('HSET', KEYS[1], 'merging', ARGV[1], 'merging_by', token, 'merge_until', ARGV[4])
return {'ok', token}
