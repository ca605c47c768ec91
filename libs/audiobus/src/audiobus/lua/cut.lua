-- Writes down the next batch, only if none is written down, nothing was settled since it was decided, no tombstone stands, no entry was taken
-- away and no name given up since then, and Redis has the history that it had then: another one may have lost what was settled since, and has the
-- same settled id again.
-- KEYS conv, tomb, gone, replacing
-- ARGV settled id as read or '', the cut that stands and is replaced or '', cut, name of its object or '', replication id as read or '',
--      fence as read or ''
-- Answers {'ok'} | {'standing', cut} | {'settled', settled}, which may be the same in another history or behind another fence | {'deleted'}
-- | {'name'}: nothing may be put under that name, or what lies there, or is about to, may be taken away again (`replacing`)
-- Draining must go on when memory is full, or it is never freed: after a write that needs none, Redis lets those pass that do.
redis.call('HDEL', KEYS[1], '')
if redis.call('EXISTS', KEYS[2]) == 1 then return {'deleted'} end
local h = redis.call('HMGET', KEYS[1], 'cut', 'settled', 'fence')
if (h[2] or '') ~= ARGV[1] then return {'settled', h[2] or ''} end
-- Also where that very cut stands: somebody else may have written it down over other entries than those that were read.
if ARGV[6] ~= '' and (h[3] or '0') ~= ARGV[6] then return {'settled', h[2] or ''} end
if ARGV[5] ~= '' and string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)') ~= ARGV[5] then
  return {'settled', h[2] or ''}
end
if h[1] then
  if h[1] == ARGV[3] then return {'ok'} end
  if h[1] ~= ARGV[2] then return {'standing', h[1]} end
elseif ARGV[2] ~= '' then
  return {'settled', h[2] or ''}
end
if redis.call('HEXISTS', KEYS[3], ARGV[4]) == 1 or redis.call('HEXISTS', KEYS[4], ARGV[4]) == 1 then return {'name'} end
redis.call('HSET', KEYS[1], 'cut', ARGV[3])
return {'ok'}
