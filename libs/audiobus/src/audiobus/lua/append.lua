-- Appends one chunk, onto exactly the id before it, for exactly the socket that owns the conversation.
-- KEYS conv, audio, tomb
-- ARGV owner, id before, id, chunk, now_ms, samples, pos, epoch, traceparent or ''
-- Answers {'ok', newest, settled, dead offset or '', waiting samples, entries, used}, and the target where it is being merged: the socket has to end
--       | {'owner', owner, newest} | {'newest', newest} | {'deleted'} | {'merging', target}: it is being merged, or was
local tomb = redis.call('GET', KEYS[3])
if tomb then
  local into = string.match(tomb, '^%d+ (.+)$')
  if into then return {'merging', into} end
  return {'deleted'}
end
local conv, audio = KEYS[1], KEYS[2]
local h = redis.call('HMGET', conv, 'owner', 'newest', 'settled', 'in', 'out', 'dead', 'dead:' .. ARGV[8], 'used', 'deleted', 'merging')
if h[1] ~= ARGV[1] then return {'owner', h[1] or '', h[2] or ''} end
local received = tonumber(h[4] or '0')
local used = h[8] or ''

-- The session's audio by UTC day, the newest day first: `day:samples[,day:samples]`. Two days are enough for a clock, or one of two
-- machines' clocks, that stands before midnight again: a day that is neither of them never takes the place of a newer one.
local function on_another_day(day, samples)
  local newest, most, other, rest = string.match(used, '^(%d+):(%d+),?(%d*):?(%d*)$')
  if not newest then return day .. ':' .. samples end
  if day > tonumber(newest) then return day .. ':' .. samples .. ',' .. newest .. ':' .. most end
  if other == '' or day > tonumber(other) then return newest .. ':' .. most .. ',' .. day .. ':' .. samples end
  return newest .. ':' .. most .. ',' .. other .. ':' .. (rest + samples)
end
-- Frozen: nothing is added, but for what sockets had not appended yet when they were told so. A chunk that went in before is answered to be safe,
-- and the owner stays: who is thawed goes on. As in `open`: whoever froze it may be gone for good.
local overdue, late = false, false
if h[10] then
  local limits = redis.call('HMGET', conv, 'merge_until', 'merge_grace')
  local till, grace = tonumber(limits[1] or ''), tonumber(limits[2] or '')
  local time = tonumber(redis.call('TIME')[1]) * 1000
  overdue = till ~= nil and time >= till
  late = not (overdue or grace and time < grace)
end
if h[2] ~= ARGV[3] then
  if late then return {'merging', h[10]} end
  if h[2] ~= ARGV[2] then return {'newest', h[2] or ''} end
  -- What is counted as received stands beside the chunk: whatever becomes of its bytes, what leaves the buffer is counted alike.
  if (ARGV[9] or '') ~= '' then
    redis.call('XADD', audio, ARGV[3], 'c', ARGV[4], 's', ARGV[6], 't', ARGV[9])
  else
    redis.call('XADD', audio, ARGV[3], 'c', ARGV[4], 's', ARGV[6])
  end
  received = received + tonumber(ARGV[6])
  local day = math.floor(ARGV[5] / 86400000)
  local newest, most, rest = string.match(used, '^(%d+):(%d+)(.*)$')
  if newest and tonumber(newest) == day then
    used = newest .. ':' .. (most + ARGV[6]) .. rest
  else
    used = on_another_day(day, ARGV[6])
  end
  redis.call('HSET', conv, 'newest', ARGV[3], 'last_ms', ARGV[5], 'pos', ARGV[7], 'in', string.format('%.0f', received), 'used', used)
  -- After what needs memory: where there is none, nothing changes.
  if overdue then redis.call('HDEL', conv, 'merging', 'merging_by', 'merge_until', 'merge_grace') end
end
local waiting = received - tonumber(h[5] or '0') - tonumber(h[6] or '0') - tonumber(h[9] or '0')
local answer = {'ok', ARGV[3], h[3] or '', h[7] or '', string.format('%.0f', waiting), redis.call('XLEN', audio), used}
if h[10] and not overdue then answer[8] = h[10] end
return answer
