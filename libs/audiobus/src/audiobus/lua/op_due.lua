-- Which operations must be looked at now, the longest due first. Changes nothing.
-- KEYS operations   ARGV limit   Answers their ids
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])
