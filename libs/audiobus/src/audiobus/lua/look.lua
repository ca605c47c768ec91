-- What the books say of a conversation, and how its buffer begins. Changes nothing.
-- KEYS conv, audio, dead, tomb
-- ARGV bytes of each chunk that say when it was made
-- Answers {in, out, dead, deleted (each '' where missing), entries, letters, 1 under a tombstone,
--          epoch of the first entry with audio (of the last one looked at, where there are more and none had any) or '', beginnings of the first chunks,
--          failed tries in a row ('' where none)}
local h = redis.call('HMGET', KEYS[1], 'in', 'out', 'dead', 'deleted', 'fails')
local entries = redis.call('XLEN', KEYS[2])
local epoch, reached, heads = '', nil, {}
-- Openings without audio lie between: a device may come back many times before it says anything.
for _, count in ipairs({3, 64}) do
  if entries > 0 and #heads == 0 then
    for _, row in ipairs(redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', count)) do
      reached = row[1]
      for i = 1, #row[2], 2 do
        if row[2][i] == 'c' then
          if epoch == '' then epoch = string.match(row[1], '^(%d+)') end
          heads[#heads + 1] = string.sub(row[2][i + 1], 1, ARGV[1])
        end
      end
    end
  end
end
if #heads == 0 and entries > 64 then epoch = string.match(reached, '^(%d+)') end
return {h[1] or '', h[2] or '', h[3] or '', h[4] or '', entries, redis.call('HLEN', KEYS[3]), redis.call('EXISTS', KEYS[4]), epoch, heads, h[5] or ''}
