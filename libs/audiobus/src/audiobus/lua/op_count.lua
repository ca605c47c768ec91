-- How many operations there are. Changes nothing.
-- KEYS operations, failing
-- Answers {undone, those that somebody should have taken by now, those whose last try failed}
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
return {redis.call('ZCARD', KEYS[1]), redis.call('ZCOUNT', KEYS[1], '-inf', now), redis.call('SCARD', KEYS[2])}
