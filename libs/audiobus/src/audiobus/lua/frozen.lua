-- Word that a conversation was frozen, or went into another one, for processes whose sockets send nothing.
-- KEYS frozen   ARGV conversation, how many words are kept about
-- Answers the word's id: above all before it, whatever the clock does
-- Merging must go on when memory is full, for it frees some: after a write that needs none, Redis lets those pass that do.
redis.call('XDEL', KEYS[1], '0-1')
return redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '*', 'c', ARGV[1])
