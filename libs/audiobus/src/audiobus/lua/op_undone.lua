-- Which operations of a kind are undone for a user, in the order in which they were begun. Changes nothing.
-- KEYS operations, those of this kind and user
-- Answers their ids
local undone = {}
for _, id in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
  if redis.call('ZSCORE', KEYS[1], id) then undone[#undone + 1] = id end
end
return undone
