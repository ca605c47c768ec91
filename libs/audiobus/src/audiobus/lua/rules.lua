-- What is set for a user, and before when their audio is deleted. Changes nothing.
-- KEYS user, tomb
-- Answers {unix ms or '', fields and values}
return {redis.call('GET', KEYS[2]) or '', redis.call('HGETALL', KEYS[1])}
