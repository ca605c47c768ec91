-- As of when somebody begins to look into the bucket for what lies there already. Changes nothing.
-- KEYS conv
-- Answers {fence, replication id}
local fence = redis.call('HGET', KEYS[1], 'fence')
return {fence or '0', string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)') or ''}
