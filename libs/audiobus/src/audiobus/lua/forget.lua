-- Removes what nothing needs any more: no entry, no cut, and nothing opened or appended for a day.
-- Where sessions ended stays, with a time limit: without owner and pre-roll the hash can hold no audio, and `open` lifts the limit.
-- As long as there are dead letters it has none: the books, and where `stored` stops, stand beside what they speak of.
-- KEYS conv, audio, dead
-- ARGV now_ms, quiet_ms, ends_kept_ms
-- Answers 1 if it was removed, else 0
local conv, audio = KEYS[1], KEYS[2]
if redis.call('XLEN', audio) > 0 then return 0 end
local h = redis.call('HMGET', conv, 'cut', 'last_ms', 'newest', 'merging')
if h[1] or h[4] then return 0 end
if h[2] and tonumber(ARGV[1]) - tonumber(h[2]) < tonumber(ARGV[2]) then return 0 end
redis.call('DEL', audio)
if h[3] then
  redis.call('HDEL', conv, 'owner', 'owner_at', 'preroll', 'flush', 'flush_reason', 'used', 'used_was', 'used_noted')
  if redis.call('EXISTS', KEYS[3]) == 0 then redis.call('PEXPIRE', conv, ARGV[3]) end
end
return 1
