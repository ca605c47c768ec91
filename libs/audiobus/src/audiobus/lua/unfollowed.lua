-- How many hints nobody has followed to the end. What was followed, and lies there all the same, goes: nobody would be given it again.
-- KEYS ready   ARGV group   Answers how many
local key = KEYS[1]
if redis.call('EXISTS', key) == 0 then return 0 end
local length, given = redis.call('XLEN', key), nil
for _, group in ipairs(redis.call('XINFO', 'GROUPS', key)) do
  local fields = {}
  for i = 1, #group, 2 do fields[group[i]] = group[i + 1] end
  if fields['name'] == ARGV[1] then given = fields['last-delivered-id'] end
end
if not given then return length end
local held = redis.call('XPENDING', key, ARGV[1])
-- Below the oldest that somebody holds all were given to somebody and are held by nobody.
local oldest = held[2]
if not oldest then
  local ms, number = string.match(given, '^(%d+)-(%d+)$')
  oldest = ms .. '-' .. string.format('%.0f', number + 1)
end
length = length - redis.call('XTRIM', key, 'MINID', '=', oldest)
-- Nearly always those that are held; where there are more of them than this, a few are counted that are not waited for.
return length - #redis.call('XRANGE', key, '-', given, 'COUNT', 10000) + held[1]
