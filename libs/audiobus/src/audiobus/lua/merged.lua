-- A frozen conversation, all of whose audio lies in another one as well, goes into that: the tombstone names it, and what was stored leaves the
-- books here, to be counted there. Only if nothing has changed since it was copied.
-- KEYS tomb, conv, audio, dead
-- ARGV tombstone, ttl_ms, token of the freezing, newest id as read or '', fence as read or ''
-- Answers {'set' or 'stands', the tombstone, samples that moved} | {'changed'}: read and copy it again | {'dead'}: it has dead letters
-- Deleting must go on when memory is full, for it frees some: after a write that needs none, Redis lets those pass that do.
redis.call('HDEL', KEYS[2], '')
local stands = redis.call('GET', KEYS[1])
local h = redis.call('HMGET', KEYS[2], 'merging_by', 'newest', 'fence', 'cut', 'again_cut', 'out', 'in', 'moved')
if stands then return {'stands', stands, h[8] or '0'} end
if h[1] ~= ARGV[3] or (h[2] or '') ~= ARGV[4] or (h[3] or '0') ~= (ARGV[5] == '' and '0' or ARGV[5]) then return {'changed'} end
if h[4] or h[5] then return {'changed'} end
if redis.call('EXISTS', KEYS[4]) == 1 then return {'dead'} end
-- Openings without audio may stay: nothing else is stored of them.
for _, entry in ipairs(redis.call('XRANGE', KEYS[3], '-', '+')) do
  for i = 1, #entry[2], 2 do
    if entry[2][i] == 'c' then return {'changed'} end
  end
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
local moved = h[6] or '0'
redis.call('HSET', KEYS[2], 'in', string.format('%.0f', tonumber(h[7] or '0') - tonumber(moved)), 'moved', moved)
redis.call('HDEL', KEYS[2], 'out', 'merging', 'merging_by', 'merge_until', 'merge_grace')
return {'set', ARGV[1], moved}
