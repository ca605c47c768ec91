-- A merge copies into a conversation, or out of one that stays: it goes on, but may not be deleted meanwhile.
-- KEYS conv, tomb, audio, dead
-- ARGV operation, until when it stands by itself in unix ms, kept_ms
-- Answers {'ok'} | {'tomb', tombstone} | {'held', operation}: another merge has it
-- It takes next to nothing, and deletes in the end: after a write that needs no memory, Redis lets those pass that do.
redis.call('HDEL', KEYS[1], '')
local tomb = redis.call('GET', KEYS[2])
if tomb then return {'tomb', tomb} end
local h = redis.call('HMGET', KEYS[1], 'merging', 'merging_by', 'held', 'merge_until')
if h[3] and h[3] ~= ARGV[1] then return {'held', h[3]} end
if h[1] then return {'held', string.match(h[2] or '', '^(%S+) ') or ''} end
-- A repeat holds it no shorter.
local till = ARGV[2]
if h[3] and h[4] and tonumber(h[4]) > tonumber(till) then till = h[4] end
redis.call('HSET', KEYS[1], 'held', ARGV[1], 'merge_until', till)
-- Nothing else is known of it, and whoever holds it may die before a merge is written down: then nobody takes this away. Where audio waits, or lies
-- in dead letters, pushers write its books here next, which must stay as long as what they speak of.
if redis.call('HLEN', KEYS[1]) == 2 and redis.call('EXISTS', KEYS[3], KEYS[4]) == 0 then
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
return {'ok'}
