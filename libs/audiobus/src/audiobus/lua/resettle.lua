-- Dead letters are stored: only if that very cut of them stands, they go, and count as stored. `stored` in acks goes on to the next dead byte.
-- KEYS conv, audio, dead
-- ARGV the letters' cut, ends_kept_ms, number of letters, then entry id and samples of each,
--      then entry id and first offset of each other letter of their sessions, as read
-- Answers {'ok', samples} | {'other'}: it does not stand | {'again'}: there are other letters than those
local conv, audio, dead = KEYS[1], KEYS[2], KEYS[3]
-- Draining must go on when memory is full, or it is never freed: after a write that needs none, Redis lets those pass that do.
redis.call('HDEL', conv, '')
local h = redis.call('HMGET', conv, 'again_cut', 'settled')
if h[1] ~= ARGV[1] then return {'other'} end
local count = tonumber(ARGV[3])
local mine, known, first = {}, {}, {}
for i = 4, 2 + 2 * count, 2 do
  mine[ARGV[i]] = tonumber(ARGV[i + 1])
  first[string.match(ARGV[i], '^(%d+)-')] = ''
end
for i = 4 + 2 * count, #ARGV, 2 do known[ARGV[i]] = tonumber(ARGV[i + 1]) end
for _, id in ipairs(redis.call('HKEYS', dead)) do
  local epoch = string.match(id, '^(%d+)-')
  if not mine[id] and epoch and first[epoch] then
    if not known[id] then return {'again'} end
    if first[epoch] == '' or known[id] < first[epoch] then first[epoch] = known[id] end
  end
end
local function above(a, b)
  local ae, ao = string.match(a, '^(%d+)-(%d+)$')
  local be, bo = string.match(b, '^(%d+)-(%d+)$')
  ae, ao, be, bo = tonumber(ae), tonumber(ao), tonumber(be), tonumber(bo)
  return ae > be or ae == be and ao > bo
end
local entry = redis.call('XRANGE', audio, '-', '+', 'COUNT', 1)[1]
local stored, settled = 0, h[2]
for i = 4, 2 + 2 * count, 2 do
  if redis.call('HDEL', dead, ARGV[i]) == 1 then stored = stored + mine[ARGV[i]] end
  -- Where the last thing that was recorded was a dead letter, nothing else moves the settled id over it.
  if not (entry and above(ARGV[i], entry[1])) and not (settled and above(settled, ARGV[i])) then settled = ARGV[i] end
end
redis.call('HDEL', conv, 'again_cut')
redis.call('HINCRBY', conv, 'dead', string.format('%.0f', 0 - stored))
redis.call('HINCRBY', conv, 'out', string.format('%.0f', stored))
if settled and settled ~= h[2] then redis.call('HSET', conv, 'settled', settled) end
for epoch, offset in pairs(first) do
  local field = 'dead:' .. epoch
  if offset == '' then redis.call('HDEL', conv, field) else redis.call('HSET', conv, field, string.format('%.0f', offset)) end
end
-- The last letter of a conversation that was forgotten meanwhile: nothing else puts a time limit on what is left of it.
if redis.call('EXISTS', dead, audio) == 0 and redis.call('HEXISTS', conv, 'owner') == 0 then redis.call('PEXPIRE', conv, ARGV[2]) end
return {'ok', string.format('%.0f', stored)}
