-- Sets before when a user's audio is deleted; never back to an earlier time, and never later than now, by the clock of this server.
-- KEYS tomb of the user
-- ARGV unix ms, ttl_ms
-- Answers the unix ms that stand
local stands = tonumber(redis.call('GET', KEYS[1]) or '')
local before = tonumber(ARGV[1])
-- Of a clock that is ahead it would delete what is recorded after it. Two seconds may lie between two clocks that are right.
local time = redis.call('TIME')
local latest = time[1] * 1000 + math.floor(time[2] / 1000) + 2000
if before > latest then before = latest end
if stands and stands > before then before = stands end
-- Deleting must go on when memory is full, for it frees some: after a write that needs none, Redis lets those pass that do.
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[1], string.format('%.0f', before), 'PX', ARGV[2])
return string.format('%.0f', before)
