-- Moves an entry that can never be stored, with its audio, into the dead letters, in one step.
-- KEYS conv, audio, dead
-- ARGV entry id, letter (the reason and the entry's fields), first offset, epoch, samples
-- Answers {'ok'} | {'gone'} | {'cut', cut}
-- Draining must go on when memory is full, or it is never freed: after a write that needs none, Redis lets those pass that do.
redis.call('HDEL', KEYS[1], '')
local cut = redis.call('HGET', KEYS[1], 'cut')
if cut then return {'cut', cut} end
if #redis.call('XRANGE', KEYS[2], ARGV[1], ARGV[1]) == 0 then return {'gone'} end
redis.call('HSET', KEYS[3], ARGV[1], ARGV[2])
redis.call('XDEL', KEYS[2], ARGV[1])
redis.call('HINCRBY', KEYS[1], 'dead', ARGV[5])
-- What was planned before this counts no more (`cut`).
redis.call('HINCRBY', KEYS[1], 'fence', 1)
-- `stored` in acks stops here until an operator deals with it.
local field = 'dead:' .. ARGV[4]
local known = redis.call('HGET', KEYS[1], field)
if not known or tonumber(known) > tonumber(ARGV[3]) then redis.call('HSET', KEYS[1], field, ARGV[3]) end
return {'ok'}
