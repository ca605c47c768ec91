-- Makes a socket the owner of a conversation, and begins or resumes a session.
-- KEYS conv, audio, tomb
-- ARGV owner, now_ms, format, epoch to resume or '', '1' if the socket opens its own session again, resumable_ms, ends_kept_ms,
--      when the socket arrived, unix ms of this server, how many ends are kept at most
-- Answers {'resumed', epoch, offset, pos, in, settled, used, former use} | {'fresh', epoch, former end or false, in, former use}
--       | {'deleted'} | {'merging', target} | {'merged', target, former end or false} | {'format', recorded} | {'stale', owner}
local conv, audio = KEYS[1], KEYS[2]
local owner, now, format, resume = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]
local tomb = redis.call('GET', KEYS[3])
if tomb then
  local into = string.match(tomb, '^%d+ (.+)$')
  if not into or resume == '' then return {'deleted'} end
  if ARGV[5] == '1' then return {'merging', into} end
  -- Who resumes goes on in the conversation that this one went into, with a session of its own.
  local newest = redis.call('HGET', conv, 'newest') or ''
  local ended = string.match(newest, '^(%d+)-') == resume and string.match(newest, '%-(%d+)$')
  if not ended then ended = string.match(redis.call('HGET', conv, 'end:' .. resume) or '', '^(%d+)') end
  return {'merged', into, ended or false}
end
local h = redis.call('HMGET', conv, 'newest', 'format', 'closed', 'last_ms', 'merging', 'pos', 'in', 'settled', 'owner', 'owner_at', 'used', 'used_was')
if h[5] then
  -- Whoever froze it may be gone for good: then it thaws by itself, and what was copied counts no more.
  local till = tonumber(redis.call('HGET', conv, 'merge_until') or '')
  if not till or tonumber(redis.call('TIME')[1]) * 1000 < till then return {'merging', h[5]} end
  redis.call('HDEL', conv, 'merging', 'merging_by', 'merge_until', 'merge_grace')
end
-- A request may be executed long after its socket is gone: it must not displace one that came later. A socket that opens its own
-- session again displaces only one that came earlier: then Redis has lost that this one came, with what else it lost.
-- Who has ended the newest session holds nothing any more.
local over = h[3] and h[1] and h[3] == string.match(h[1], '^(%d+)')
if h[9] and h[9] ~= owner and not over then
  local arrived, own = tonumber(ARGV[8]), ARGV[5] == '1'
  local came = tonumber(h[10] or (own and ARGV[8] or '0'))
  -- Nobody came after now: it was another server's clock, or this one's before it was set.
  if came > tonumber(redis.call('TIME')[1]) * 1000 + 2000 then came = 0 end
  if came > arrived or own and came == arrived then return {'stale', h[9]} end
end

-- What a session keeps for life is codec, rate and channels; its pre-skip may differ.
local function kept(text) return string.match(text or '', '^[^:]*:[^:]*:[^:]*') end

local epoch, offset
if h[1] then epoch, offset = string.match(h[1], '^(%d+)-(%d+)$') end
-- The stream's own last id: above `newest` only if somebody else wrote into it. Nothing can be appended below it.
local top
if redis.call('EXISTS', audio) == 1 then
  local info = redis.call('XINFO', 'STREAM', audio)
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then top = info[i + 1] end
  end
end
local strayed = false
if top then
  local te, to = string.match(top, '^(%d+)-(%d+)$')
  te, to = tonumber(te), tonumber(to)
  local e, o = tonumber(epoch or '0'), tonumber(offset or '0')
  strayed = te > e or (te == e and to > o)
  top = te
end

local former = false
if resume ~= '' then
  if epoch == resume then
    former = offset
    local age = now - tonumber(h[4] or '0')
    if h[3] ~= resume and not strayed and (ARGV[5] == '1' or age <= tonumber(ARGV[6])) then
      if kept(h[2]) ~= kept(format) then return {'format', h[2]} end
      redis.call('HSET', conv, 'owner', owner, 'owner_at', ARGV[8], 'last_ms', ARGV[2])
      redis.call('PERSIST', conv)
      return {'resumed', epoch, offset, h[6] or '', h[7] or '0', h[8] or '', h[11] or '', h[12] or ''}
    end
  else
    local ended = redis.call('HGET', conv, 'end:' .. resume)
    if ended then former = string.match(ended, '^(%d+)') end
  end
end

-- A fresh session: its epoch lies above every one before, whatever the clocks say.
if epoch then redis.call('HSET', conv, 'end:' .. epoch, offset .. ':' .. ARGV[2]) end
local fresh = now
if epoch and tonumber(epoch) >= fresh then fresh = tonumber(epoch) + 1 end
if top and top >= fresh then fresh = top + 1 end
-- Redis has lost that the socket's own session began: it begins again under its epoch, and the socket writes again what it still has.
local again = resume ~= '' and ARGV[5] == '1' and tonumber(resume) > tonumber(epoch or '0') and tonumber(resume) > (top or 0)
if again then fresh = tonumber(resume) end
fresh = string.format('%.0f', fresh)
redis.call('XADD', audio, fresh .. '-0', 'o', format)
redis.call('HSET', conv, 'owner', owner, 'owner_at', ARGV[8], 'newest', fresh .. '-0', 'format', format, 'last_ms', ARGV[2], 'pos', '')
redis.call('HDEL', conv, 'closed', 'used', 'used_noted')
-- What the session before used may not have been written down before its process ended: whoever comes next does it.
local was = h[12] or ''
if epoch and h[11] and h[11] ~= '' then
  was = epoch .. ';' .. h[11]
  redis.call('HSET', conv, 'used_was', was)
end
redis.call('PERSIST', conv)

-- Ends go where there are many: those older than they are kept for, then all but the newest. A look costs as much as there are, so
-- the next one comes when there are twice as many.
local fields = redis.call('HLEN', conv)
if fields > tonumber(redis.call('HGET', conv, 'ends_look') or '128') then
  local ends, gone = {}, {}
  local all = redis.call('HGETALL', conv)
  for i = 1, #all, 2 do
    if string.sub(all[i], 1, 4) == 'end:' then
      local at = string.match(all[i + 1], ':(%d+)$')
      if at and now - tonumber(at) > tonumber(ARGV[7]) then gone[#gone + 1] = all[i] else ends[#ends + 1] = all[i] end
    end
  end
  local most = tonumber(ARGV[9])
  if #ends > most then
    table.sort(ends, function(one, other) return tonumber(string.sub(one, 5)) > tonumber(string.sub(other, 5)) end)
    for i = most + 1, #ends do gone[#gone + 1] = ends[i] end
  end
  for i = 1, #gone, 1000 do redis.call('HDEL', conv, unpack(gone, i, math.min(i + 999, #gone))) end
  redis.call('HSET', conv, 'ends_look', math.max(128, 2 * (fields - #gone)))
end
if again then return {'resumed', fresh, '0', '', h[7] or '0', h[8] or '', '', was} end
return {'fresh', fresh, former, h[7] or '0', was}
