-- Makes the consumer group of a stream of hints, from the first hint on, if it is not there.
-- KEYS ready   ARGV group   Answers 1 if it was made, 0 if it was there
-- Draining must go on when memory is full, or it is never freed: after a write that needs none, Redis lets those pass that do.
redis.call('XDEL', KEYS[1], '0-1')
local made = redis.pcall('XGROUP', 'CREATE', KEYS[1], ARGV[1], '0', 'MKSTREAM')
if type(made) ~= 'table' or not made.err then return 1 end
-- The one error of group creation that means success.
if string.find(made.err, 'BUSYGROUP', 1, true) then return 0 end
return made
