-- Deletes a field of the dead letters that nothing can read, in one step. What was counted for it is what the others do not account for.
-- KEYS conv, dead, audio
-- ARGV field, its value as read, number of fields, dead samples as read or '', samples to move to deleted,
--      epoch of the field or '' (none, or another field of it cannot be read), first offset of the session's other letters or '', kept_ms
-- Answers {'ok'} | {'gone'} | {'again'}: something moved since
local conv, dead = KEYS[1], KEYS[2]
-- Deleting must go on when memory is full, for it frees some: after a write that needs none, Redis lets those pass that do.
redis.call('HDEL', conv, '')
local value = redis.call('HGET', dead, ARGV[1])
if not value then return {'gone'} end
if value ~= ARGV[2] or redis.call('HLEN', dead) ~= tonumber(ARGV[3]) or (redis.call('HGET', conv, 'dead') or '') ~= ARGV[4] then
  return {'again'}
end
redis.call('HDEL', dead, ARGV[1])
if redis.call('EXISTS', conv) == 0 then return {'ok'} end
if ARGV[5] ~= '0' then
  redis.call('HINCRBY', conv, 'dead', '-' .. ARGV[5])
  redis.call('HINCRBY', conv, 'deleted', ARGV[5])
end
if ARGV[6] ~= '' then
  local field = 'dead:' .. ARGV[6]
  if ARGV[7] == '' then redis.call('HDEL', conv, field) else redis.call('HSET', conv, field, ARGV[7]) end
end
-- Where the last thing that was recorded was a dead letter, nothing else moves the settled id over it.
local h = redis.call('HMGET', conv, 'newest', 'cut')
if h[1] and not h[2] and redis.call('XLEN', KEYS[3]) == 0 then redis.call('HSET', conv, 'settled', h[1]) end
-- The last letter of a conversation that was forgotten meanwhile: nothing else puts a time limit on what is left of it.
if redis.call('EXISTS', dead, KEYS[3]) == 0 and redis.call('HEXISTS', conv, 'owner') == 0 then
  redis.call('PEXPIRE', conv, ARGV[8])
end
return {'ok'}
