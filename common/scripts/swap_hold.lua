-- The next state of a hold, if it is still in the state that was judged: of several that judge it at once one wins.
-- KEYS  1 holds hash
-- ARGV  1 hold, 2 the state that was judged (JSON, or ''), 3 the next one (JSON), 4 field by which an operator asked
--       for its end, or '': it is done with
-- Returns 1, or 0 if another was first.
if (redis.call('HGET', KEYS[1], ARGV[1]) or '') ~= ARGV[2] then
  return 0
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
if ARGV[4] ~= '' then
  redis.call('HDEL', KEYS[1], ARGV[4])
end
return 1
