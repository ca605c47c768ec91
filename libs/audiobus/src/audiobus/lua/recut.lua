-- Writes down which dead letters enter the next object, only if nothing else stands, all of them are there, no tombstone stands, and nothing was
-- taken away or given up, and no writes lost, since it was decided what of them lies in the bucket already (`cut`).
-- KEYS conv, dead, tomb, gone, replacing
-- ARGV the letters' cut that stands, as read, or ''; the new one, or '' to drop it; the name that is given up with it, or ''; now_ms;
--      kept_ms; the name of the new one's object or ''; replication id as read or ''; fence as read or ''; then the entry ids of the new one
-- Answers {'ok'} | {'standing', cut or ''} | {'gone'}: a letter is not there any more | {'moved'} | {'deleted'}
-- | {'name'}: nothing may be put under that name, or what lies there, or is about to, may be taken away again (`replacing`)
local conv, dead = KEYS[1], KEYS[2]
-- Draining must go on when memory is full, or it is never freed: after a write that needs none, Redis lets those pass that do.
redis.call('HDEL', conv, '')
if redis.call('EXISTS', KEYS[3]) == 1 then return {'deleted'} end
local h = redis.call('HMGET', conv, 'again_cut', 'fence')
local stands = h[1] or ''
if ARGV[8] ~= '' and (h[2] or '0') ~= ARGV[8] then return {'moved'} end
if ARGV[7] ~= '' and string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)') ~= ARGV[7] then return {'moved'} end
if stands ~= ARGV[1] then
  if stands == ARGV[2] then return {'ok'} end
  return {'standing', stands}
end
for i = 9, #ARGV do
  if redis.call('HEXISTS', dead, ARGV[i]) == 0 then return {'gone'} end
end
if redis.call('HEXISTS', KEYS[4], ARGV[6]) == 1 or redis.call('HEXISTS', KEYS[5], ARGV[6]) == 1 then return {'name'} end
if ARGV[3] ~= '' then
  -- Whoever is about to put it deletes it again, and so does everybody who looks here until no put can be under way.
  -- Given up ('+'): its audio is stored under another name. What was deleted before stays deleted.
  local known = redis.call('HGET', KEYS[4], ARGV[3])
  redis.call('HSET', KEYS[4], ARGV[3], (known and string.sub(known, 1, 1) ~= '+' and '' or '+') .. ARGV[4])
  redis.call('PEXPIRE', KEYS[4], ARGV[5])
  redis.call('HSET', conv, 'gone', ARGV[4])
  -- What was planned before this counts no more (`cut`).
  redis.call('HINCRBY', conv, 'fence', 1)
end
if ARGV[2] == '' then redis.call('HDEL', conv, 'again_cut') else redis.call('HSET', conv, 'again_cut', ARGV[2]) end
return {'ok'}
