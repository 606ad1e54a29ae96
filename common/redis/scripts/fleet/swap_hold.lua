-- The next state of a hold and the times by which it is right, if the hold is still in the state that was judged: of
-- several that judge it at once one wins.
-- KEYS  1 holds hash
-- ARGV  1 hold, 2 the state that was judged (JSON, or ''), 3 the next one (the same if nothing changed), 4 field by which
--       an operator asked for its end, or '': it is done with, 5 since when it has been judged
--       without a gap, and until when (ms, with a space between)
-- Returns 1, or 0 if another was first.
if (redis.call('HGET', KEYS[1], ARGV[1]) or '') ~= ARGV[2] then
  return 0
end
if ARGV[3] ~= ARGV[2] then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
end
redis.call('HSET', KEYS[1], ARGV[1] .. '_evaluated', ARGV[5])
if ARGV[4] ~= '' then
  redis.call('HDEL', KEYS[1], ARGV[4])
end
return 1
