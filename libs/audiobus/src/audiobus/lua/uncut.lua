-- Gives up the cut that stands, with the name of its object. The entries stay, and are cut anew under another name.
-- KEYS conv, gone
-- ARGV cut, the name of its object or '', now_ms, kept_ms
-- Answers 1 if that cut stood
-- Draining must go on when memory is full, or it is never freed: after a write that needs none, Redis lets those pass that do.
redis.call('HDEL', KEYS[1], '')
if redis.call('HGET', KEYS[1], 'cut') ~= ARGV[1] then return 0 end
redis.call('HDEL', KEYS[1], 'cut')
-- What was planned before this counts no more (`cut`).
redis.call('HINCRBY', KEYS[1], 'fence', 1)
if ARGV[2] ~= '' then
  -- Whoever is about to put it deletes it again, and so does everybody who looks here until no put can be under way.
  -- Given up ('+'): its audio is stored under another name. What was deleted before stays deleted.
  local known = redis.call('HGET', KEYS[2], ARGV[2])
  redis.call('HSET', KEYS[2], ARGV[2], (known and string.sub(known, 1, 1) ~= '+' and '' or '+') .. ARGV[3])
  redis.call('PEXPIRE', KEYS[2], ARGV[4])
  redis.call('HSET', KEYS[1], 'gone', ARGV[3])
end
return 1
