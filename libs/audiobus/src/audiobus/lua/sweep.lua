-- Empties the buffer and the dead letters of a conversation under a tombstone. Where it lay, its audio is counted as deleted.
-- What its sessions used stays: it may still have to be carried on.
-- KEYS conv, audio, dead, tomb
-- ARGV now_ms, ends_kept_ms
-- Answers {'swept', samples, unix ms of the tombstone} | {'alive'}: no tombstone stands
local conv = KEYS[1]
-- Deleting must go on when memory is full, for it frees some: after a write that needs none, Redis lets those pass that do.
redis.call('HDEL', conv, '')
local tomb = redis.call('GET', KEYS[4])
if not tomb then return {'alive'} end
local h = redis.call('HMGET', conv, 'in', 'out', 'deleted', 'dead', 'swept')
-- A tombstone of no known time stands since it was seen first.
local since = string.match(tomb, '^(%d%d%d%d%d%d%d%d%d%d%d%d%d)$') or string.match(tomb, '^(%d%d%d%d%d%d%d%d%d%d%d%d%d) ')
  or h[5] or ARGV[1]
redis.call('DEL', KEYS[2], KEYS[3])
if redis.call('EXISTS', conv) == 0 then return {'swept', '0', since} end
-- All that was received and is not in the bucket lay in the buffer, in the dead letters, or was deleted before.
local deleted = tonumber(h[1] or '0') - tonumber(h[2] or '0')
local more = deleted - tonumber(h[3] or '0')
for _, field in ipairs(redis.call('HKEYS', conv)) do
  if string.sub(field, 1, 5) == 'dead:' then redis.call('HDEL', conv, field) end
end
redis.call('HDEL', conv, 'owner', 'owner_at', 'preroll', 'cut', 'flush', 'flush_reason', 'dead', 'again', 'again_cut')
redis.call('HSET', conv, 'deleted', string.format('%.0f', deleted), 'swept', since)
-- It holds no audio, and under the tombstone it gets none.
redis.call('PEXPIRE', conv, ARGV[2])
return {'swept', string.format('%.0f', more), since}
