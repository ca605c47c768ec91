-- Writes what sessions of a user have used, and answers what is set for the user and what the day comes to.
-- KEYS user, the day's usage, then for each total the usage of its day
-- ARGV daily limit in ms of who has none of their own (0: none), seconds that a day is kept after its last write,
--      then for each total the session and its ms
-- Answers {1 if the totals stand, limit in ms, ms of the day (0 where there is no limit), the user's fields}
-- A total never shrinks: of two sockets of one session, the one that writes last may know less.
local written = 1
for i = 3, #KEYS do
  local session, ms = ARGV[2 * i - 3], ARGV[2 * i - 2]
  local known = redis.call('HGET', KEYS[i], session)
  if not known or tonumber(known) < tonumber(ms) then
    -- Where Redis takes no writes just now, the rest is answered all the same.
    local answer = redis.pcall('HSET', KEYS[i], session, ms)
    if type(answer) == 'table' and answer.err then written = 0 else redis.call('EXPIRE', KEYS[i], ARGV[2]) end
  end
end
local own = string.match(redis.call('HGET', KEYS[1], 'daily_limit_ms') or '', '^%d+$')
local limit = tonumber(own or ARGV[1])
local sum = 0
if limit > 0 then
  for _, ms in ipairs(redis.call('HVALS', KEYS[2])) do sum = sum + (tonumber(ms) or 0) end
end
return {written, limit, sum, redis.call('HGETALL', KEYS[1])}
