-- Drops entries that their user has deleted, with their audio, and the cut over them. What was settled goes on over those that came first.
-- KEYS conv, audio, gone
-- ARGV the cut that stands, as read, or ''; the name of its object or ''; now_ms; kept_ms; '1' if the pre-roll goes too; then id and
--      samples of each entry, in order
-- Answers {'ok', samples} | {'other', cut or ''}: another cut stands
local conv, audio = KEYS[1], KEYS[2]
-- Deleting must go on when memory is full, for it frees some: after a write that needs none, Redis lets those pass that do.
redis.call('HDEL', conv, '')
local h = redis.call('HMGET', conv, 'cut', 'settled', 'newest')
if (h[1] or '') ~= ARGV[1] then return {'other', h[1] or ''} end
local deleted = 0
for i = 6, #ARGV, 2 do
  if redis.call('XDEL', audio, ARGV[i]) == 1 then deleted = deleted + tonumber(ARGV[i + 1]) end
end
redis.call('HINCRBY', conv, 'deleted', string.format('%.0f', deleted))
-- What was planned before this counts no more (`cut`).
redis.call('HINCRBY', conv, 'fence', 1)
if h[1] and #ARGV > 5 then
  redis.call('HDEL', conv, 'cut')
  -- Whoever is about to put it deletes it again, and so does everybody who looks here until no put can be under way.
  if ARGV[2] ~= '' then
    redis.call('HSET', KEYS[3], ARGV[2], ARGV[3])
    redis.call('PEXPIRE', KEYS[3], ARGV[4])
    redis.call('HSET', conv, 'gone', ARGV[3])
  end
end
if ARGV[5] == '1' then redis.call('HDEL', conv, 'preroll') end

local function above(a, b)
  local ae, ao = string.match(a, '^(%d+)-(%d+)$')
  local be, bo = string.match(b, '^(%d+)-(%d+)$')
  ae, ao, be, bo = tonumber(ae), tonumber(ao), tonumber(be), tonumber(bo)
  return ae > be or ae == be and ao > bo
end
local first = redis.call('XRANGE', audio, '-', '+', 'COUNT', 1)[1]
local settled = h[2]
for i = 6, #ARGV, 2 do
  if first and above(ARGV[i], first[1]) then break end
  if not settled or above(ARGV[i], settled) then settled = ARGV[i] end
end
-- Behind them may have been a dead letter that was dealt with before.
if settled and not first and h[3] then settled = h[3] end
if settled and settled ~= h[2] then redis.call('HSET', conv, 'settled', settled) end
return {'ok', string.format('%.0f', deleted)}
