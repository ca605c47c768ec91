-- Gives a lease back, if it is still the holder's, unless something was appended, asked for or noted since the conversation was read.
-- KEYS lease, conv
-- ARGV holder, newest id as read or '', flush id as read or '', '1' if names to be seen to (gone) were noted by then, then names of fields of conv
-- Answers {'parted'} | {'moved', their values}: the lease stays
local h = redis.call('HMGET', KEYS[2], 'newest', 'flush', 'gone')
if (h[1] or '') ~= ARGV[2] or (h[2] or '') ~= ARGV[3] or (h[3] and ARGV[4] ~= '1') then
  return {'moved', redis.call('HMGET', KEYS[2], unpack(ARGV, 5))}
end
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return {'parted'}
