-- Gives a lease back, if it is still the holder's, unless something was appended or asked for since the conversation was read.
-- KEYS lease, conv
-- ARGV holder, newest id as read or '', flush id as read or '', then names of fields of conv
-- Answers {'parted'} | {'moved', their values}: the lease stays
local h = redis.call('HMGET', KEYS[2], 'newest', 'flush')
if (h[1] or '') ~= ARGV[2] or (h[2] or '') ~= ARGV[3] then
  return {'moved', redis.call('HMGET', KEYS[2], unpack(ARGV, 4))}
end
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return {'parted'}
