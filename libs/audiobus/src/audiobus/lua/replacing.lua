-- Writes down the name of an object that is about to be put in the place of another, before it is put: until it takes that place, whoever replaces
-- objects of the conversation next takes it away again.
-- KEYS conv, replacing, tomb, lease
-- ARGV holder, kept_ms, name, what tells the object from others of its name
-- Answers {'ok'} | {'lost'}: somebody else may replace now | {'merging', by whom} | {'deleted'}
-- | {'named'}: a cut that stands speaks of that name
-- Deleting must go on when memory is full, for it frees some: after a write that needs none, Redis lets those pass that do.
redis.call('HDEL', KEYS[1], '')
if redis.call('EXISTS', KEYS[3]) == 1 then return {'deleted'} end
local h = redis.call('HMGET', KEYS[1], 'merging', 'held', 'cut', 'again_cut')
if h[1] or h[2] then return {'merging', h[1] or h[2]} end
if redis.call('GET', KEYS[4]) ~= ARGV[1] then return {'lost'} end
-- Whoever carries it out would take what lies there for its own. The name stands in it byte for byte, whatever its version.
for field = 3, 4 do
  if h[field] and string.find(h[field], ARGV[3], 1, true) then return {'named'} end
end
redis.call('HSET', KEYS[2], ARGV[3], ARGV[4])
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return {'ok'}
