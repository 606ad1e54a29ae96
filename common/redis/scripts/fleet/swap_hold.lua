-- Stores the next state of a hold, if the hold is still in the state that was evaluated.
-- KEYS
--   1 holds hash
-- ARGV
--   1 hold
--   2 state that was evaluated (JSON), or ''
--   3 next state (JSON, or ''); the same if nothing changed
--   4 field by which an operator released the hold, or ''; it is removed
--   5 since when the hold has been evaluated without a gap, and until when (ms, separated by a space)
-- Returns 'swapped', or 'conflict' if another process changed the state first.
-- Guarantees
--   Of several that evaluate the hold at once one changes its state.
if (redis.call('HGET', KEYS[1], ARGV[1]) or '') ~= ARGV[2] then
  return 'conflict'
end
if ARGV[3] ~= ARGV[2] then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
end
redis.call('HSET', KEYS[1], ARGV[1] .. '_evaluated', ARGV[5])
if ARGV[4] ~= '' then
  redis.call('HDEL', KEYS[1], ARGV[4])
end
return 'swapped'
