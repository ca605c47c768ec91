-- Sets, or takes away, some of what is set for a user; what else is set stays. What lies there and is no hash gives way: nobody can follow it.
-- KEYS user
-- ARGV field and value of each, or '' to take it away
-- Answers all fields with their values
if redis.call('TYPE', KEYS[1]).ok ~= 'hash' and #ARGV > 0 then redis.call('DEL', KEYS[1]) end
for i = 1, #ARGV, 2 do
  if ARGV[i + 1] == '' then
    redis.call('HDEL', KEYS[1], ARGV[i])
  else
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
  end
end
return redis.call('HGETALL', KEYS[1])
