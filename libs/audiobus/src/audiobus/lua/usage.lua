-- Writes what sessions of a user have used, and answers what is set for the user and what the day comes to.
-- KEYS user, usage and sum of the day, then for each total usage and sum of its day
-- ARGV daily limit in ms of who has none of their own (0: none), seconds that a day is kept after its last write,
--      then for each total the session and its ms
-- Answers {1 if the totals stand, limit in ms, ms of the day (0 where there is no limit), the user's fields}
-- A total never shrinks: of two sockets of one session, the one that writes last may know less.
local function failed(answer) return type(answer) == 'table' and answer.err ~= nil end
local written = 1
for i = 4, #KEYS, 2 do
  local session, ms = ARGV[i - 1], ARGV[i]
  -- Where Redis takes no writes just now, or somebody put something else under that key, the rest is answered all the same.
  local known = redis.pcall('HGET', KEYS[i], session)
  if failed(known) then
    written = 0
  elseif not known or (tonumber(known) or 0) < tonumber(ms) then
    if failed(redis.pcall('HSET', KEYS[i], session, ms)) then
      written = 0
    else
      redis.call('EXPIRE', KEYS[i], ARGV[2])
      -- The sum spares adding up: a device that comes back all day has thousands of sessions. Where it is missing it is made anew.
      local more = string.format('%.0f', ms - (tonumber(known or 0) or 0))
      if redis.call('EXISTS', KEYS[i + 1]) == 0 or failed(redis.pcall('INCRBY', KEYS[i + 1], more)) then
        redis.call('DEL', KEYS[i + 1])
      else
        redis.call('EXPIRE', KEYS[i + 1], ARGV[2])
      end
    end
  end
end
local own = string.match(redis.call('HGET', KEYS[1], 'daily_limit_ms') or '', '^%d+$')
local limit = tonumber(own or ARGV[1])
local sum = 0
if limit > 0 then
  local known = redis.pcall('GET', KEYS[3])
  if known and not failed(known) and tonumber(known) then
    sum = tonumber(known)
  else
    local all = redis.pcall('HVALS', KEYS[2])
    if not failed(all) then
      for _, ms in ipairs(all) do sum = sum + (tonumber(ms) or 0) end
      if sum > 0 then redis.pcall('SET', KEYS[3], string.format('%.0f', sum), 'EX', ARGV[2]) end
    end
  end
end
return {written, limit, sum, redis.call('HGETALL', KEYS[1])}
