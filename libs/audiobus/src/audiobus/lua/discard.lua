-- Deletes a dead letter with its audio, in one step. `stored` in acks goes on to the next dead byte of its session.
-- KEYS conv, dead, audio, gone
-- ARGV entry id, samples, epoch, the letters' cut that stands, as read, or '', '1' if that is given up with it, the name of its object or '',
--      now_ms, kept_ms, then entry id and first offset of each other letter of that epoch, as read
-- Answers {'ok'} | {'gone'} | {'again'}: there are others than those, or another cut
local conv, dead = KEYS[1], KEYS[2]
-- Deleting must go on when memory is full, for it frees some: after a write that needs none, Redis lets those pass that do.
redis.call('HDEL', conv, '')
if redis.call('HEXISTS', dead, ARGV[1]) == 0 then return {'gone'} end
if (redis.call('HGET', conv, 'again_cut') or '') ~= ARGV[4] then return {'again'} end
local known = {}
for i = 9, #ARGV, 2 do known[ARGV[i]] = tonumber(ARGV[i + 1]) end
local first
for _, id in ipairs(redis.call('HKEYS', dead)) do
  if id ~= ARGV[1] and string.match(id, '^(%d+)-') == ARGV[3] then
    if not known[id] then return {'again'} end
    if not first or known[id] < first then first = known[id] end
  end
end
redis.call('HDEL', dead, ARGV[1])
if redis.call('EXISTS', conv) == 0 then return {'ok'} end
-- From zero, for `-0` is no number to Redis.
redis.call('HINCRBY', conv, 'dead', string.format('%.0f', 0 - ARGV[2]))
redis.call('HINCRBY', conv, 'deleted', ARGV[2])
-- What was planned before this counts no more (`cut`).
redis.call('HINCRBY', conv, 'fence', 1)
local field = 'dead:' .. ARGV[3]
if first then redis.call('HSET', conv, field, string.format('%.0f', first)) else redis.call('HDEL', conv, field) end
-- Where the last thing that was recorded was a dead letter, nothing else moves the settled id over it.
local h = redis.call('HMGET', conv, 'newest', 'cut')
if h[1] and not h[2] and redis.call('XLEN', KEYS[3]) == 0 then redis.call('HSET', conv, 'settled', h[1]) end
if ARGV[5] == '1' then redis.call('HDEL', conv, 'again_cut') end
if ARGV[6] ~= '' then
  -- Its object may be on its way: whoever is about to put it deletes it again, and so does everybody who looks here.
  redis.call('HSET', KEYS[4], ARGV[6], ARGV[7])
  redis.call('PEXPIRE', KEYS[4], ARGV[8])
  redis.call('HSET', conv, 'gone', ARGV[7])
end
-- The last letter of a conversation that was forgotten meanwhile: nothing else puts a time limit on what is left of it.
if redis.call('EXISTS', dead, KEYS[3]) == 0 and redis.call('HEXISTS', conv, 'owner') == 0 then
  redis.call('PEXPIRE', conv, ARGV[8])
end
return {'ok'}
