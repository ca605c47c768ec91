-- Makes a socket the owner of a conversation, and begins or resumes a session.
-- KEYS conv, audio, tomb
-- ARGV owner, now_ms, format, epoch to resume or '', '1' if the socket opens its own session again, resumable_ms, ends_kept_ms
-- Answers {'resumed', epoch, offset, pos, in, settled} | {'fresh', epoch, former end or false, in}
--       | {'deleted'} | {'merging', target} | {'format', recorded}
if redis.call('EXISTS', KEYS[3]) == 1 then return {'deleted'} end
local conv, audio = KEYS[1], KEYS[2]
local owner, now, format, resume = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]
local h = redis.call('HMGET', conv, 'newest', 'format', 'closed', 'last_ms', 'merging', 'pos', 'in', 'settled')
if h[5] then return {'merging', h[5]} end

local epoch, offset
if h[1] then epoch, offset = string.match(h[1], '^(%d+)-(%d+)$') end
local former = false
if resume ~= '' then
  if epoch == resume then
    former = offset
    local age = now - tonumber(h[4] or '0')
    if h[3] ~= resume and (ARGV[5] == '1' or age <= tonumber(ARGV[6])) then
      if h[2] ~= format then return {'format', h[2]} end
      redis.call('HSET', conv, 'owner', owner, 'last_ms', ARGV[2])
      redis.call('PERSIST', conv)
      return {'resumed', epoch, offset, h[6] or '', h[7] or '0', h[8] or ''}
    end
  else
    local ended = redis.call('HGET', conv, 'end:' .. resume)
    if ended then former = string.match(ended, '^(%d+)') end
  end
end

-- A fresh session: its epoch lies above every one before, whatever the clocks say.
if epoch then
  redis.call('HSET', conv, 'end:' .. epoch, offset .. ':' .. ARGV[2])
else
  local newest = redis.call('XREVRANGE', audio, '+', '-', 'COUNT', 1)
  if newest[1] then epoch = string.match(newest[1][1], '^(%d+)') end
end
local fresh = now
if epoch and tonumber(epoch) >= now then fresh = tonumber(epoch) + 1 end
fresh = string.format('%.0f', fresh)
redis.call('XADD', audio, fresh .. '-0', 'o', format)
redis.call('HSET', conv, 'owner', owner, 'newest', fresh .. '-0', 'format', format, 'last_ms', ARGV[2], 'pos', '')
redis.call('HDEL', conv, 'closed')
redis.call('PERSIST', conv)

-- Ends older than they are kept for go when there are many; a conversation with few costs nothing here.
if redis.call('HLEN', conv) > 128 then
  local all = redis.call('HGETALL', conv)
  for i = 1, #all, 2 do
    if string.sub(all[i], 1, 4) == 'end:' then
      local at = string.match(all[i + 1], ':(%d+)$')
      if at and now - tonumber(at) > tonumber(ARGV[7]) then redis.call('HDEL', conv, all[i]) end
    end
  end
end
return {'fresh', fresh, former, h[7] or '0'}
