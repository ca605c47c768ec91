-- The batch is stored: only if that very cut stands, its entries go, the settled id moves, the pre-roll is kept.
-- KEYS conv, audio
-- ARGV cut, last id, id after it, pre-roll or '', samples, now_ms, '1' if it was stored before its time,
--      then epoch and end offset of each session in it
-- Answers {'ok', settled} | {'other', cut or '', settled}
local conv, audio = KEYS[1], KEYS[2]
local h = redis.call('HMGET', conv, 'cut', 'settled', 'flush', 'newest')
if h[1] ~= ARGV[1] then return {'other', h[1] or '', h[2] or ''} end
-- What leaves the buffer is counted, not what was read: between the two Redis may have lost entries, and got them again later.
local out = 0
for _, entry in ipairs(redis.call('XRANGE', audio, '-', ARGV[2])) do
  local fields = entry[2]
  if fields[3] == 's' and string.find(fields[4], '^%d+$') and #fields[4] <= 15 then
    out = out + tonumber(fields[4])
  elseif fields[1] == 'c' then
    -- Of an older listen, or damaged: only the pusher knows what it counts (`audiobus.entry`).
    out = nil
    break
  end
end
redis.call('XTRIM', audio, 'MINID', '=', ARGV[3])
redis.call('HDEL', conv, 'cut', 'fails', 'fails_why', 'fails_ms')
-- Where the last thing that was recorded was a dead letter, nothing else moves the settled id over it: with the buffer empty, all is dealt with.
local settled = ARGV[2]
if h[4] and redis.call('XLEN', audio) == 0 then settled = h[4] end
redis.call('HSET', conv, 'settled', settled)
if ARGV[7] == '1' then redis.call('HSET', conv, 'hurried', '1') else redis.call('HDEL', conv, 'hurried') end
if ARGV[4] == '' then redis.call('HDEL', conv, 'preroll') else redis.call('HSET', conv, 'preroll', ARGV[4]) end
redis.call('HINCRBY', conv, 'out', out and string.format('%.0f', out) or ARGV[5])

local epoch, offset = string.match(settled, '^(%d+)-(%d+)$')
epoch, offset = tonumber(epoch), tonumber(offset)
if h[3] then
  local e, o = string.match(h[3], '^(%d+)-(%d+)$')
  e, o = tonumber(e), tonumber(o)
  if e < epoch or (e == epoch and o <= offset) then redis.call('HDEL', conv, 'flush', 'flush_reason') end
end
local newest = h[4] and string.match(h[4], '^(%d+)') or ''
for i = 8, #ARGV, 2 do
  if ARGV[i] ~= newest then
    local field = 'end:' .. ARGV[i]
    local known = redis.call('HGET', conv, field)
    if not known or tonumber(string.match(known, '^(%d+)')) < tonumber(ARGV[i + 1]) then
      redis.call('HSET', conv, field, ARGV[i + 1] .. ':' .. ARGV[6])
    end
  end
end
return {'ok', settled}
