-- Takes, or holds on to, the lease of a conversation, and reads, as of the same moment, all that whoever drains it must know.
-- The lease is thrift, not safety: the other scripts are safe without it.
-- KEYS lease, conv, audio, tomb
-- ARGV holder, ttl_ms, number of entries, bytes after which no more of them are read, then names of fields of conv
-- Answers {'busy'} | {'taken', their values, 1 under a tombstone, 1 if there is a buffer, its first entries, replication id}
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return {'busy'} end
-- Draining must go on when memory is full, or it is never freed: after a write that needs none, Redis lets those pass that do.
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
local values = redis.call('HMGET', KEYS[2], unpack(ARGV, 5))
local entries = redis.call('XRANGE', KEYS[3], '-', '+', 'COUNT', ARGV[3])
local left = tonumber(ARGV[4])
for number, entry in ipairs(entries) do
  if left <= 0 then
    -- What follows in the table is not answered: an answer ends with the first that is missing.
    entries[number] = nil
    break
  end
  local fields = entry[2]
  for at = 2, #fields, 2 do left = left - #fields[at] end
end
local history = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
return {'taken', values, redis.call('EXISTS', KEYS[4]), redis.call('EXISTS', KEYS[3]), entries, history or ''}
