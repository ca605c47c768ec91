-- Notes that everything appended so far shall be stored now. It outlives every hint.
-- KEYS conv, audio
-- ARGV reason, owner or '' (anybody), '1' if the owner's session is over with this, newest id that is known to be here or ''
-- Answers {'ok', newest, settled, entries} | {'owner', owner} | {'newest', newest}: it has lost writes | {'none'}
local conv = KEYS[1]
-- Draining must go on when memory is full, or it is never freed: after a write that needs none, Redis lets those pass that do.
redis.call('HDEL', conv, '')
local h = redis.call('HMGET', conv, 'owner', 'newest', 'settled')
if not h[2] then return {'none'} end
if ARGV[2] ~= '' and h[1] ~= ARGV[2] then return {'owner', h[1] or ''} end
if ARGV[4] ~= '' then
  local epoch, offset = string.match(h[2], '^(%d+)-(%d+)$')
  local known, upto = string.match(ARGV[4], '^(%d+)-(%d+)$')
  epoch, offset, known, upto = tonumber(epoch), tonumber(offset), tonumber(known), tonumber(upto)
  if epoch < known or epoch == known and offset < upto then return {'newest', h[2]} end
end
if ARGV[3] == '1' then redis.call('HSET', conv, 'closed', string.match(h[2], '^(%d+)')) end
local entries = redis.call('XLEN', KEYS[2])
if entries > 0 then redis.call('HSET', conv, 'flush', h[2], 'flush_reason', ARGV[1]) end
return {'ok', h[2], h[3] or '', entries}
