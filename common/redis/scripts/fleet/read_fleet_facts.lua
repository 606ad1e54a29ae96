#!lua flags=no-writes
-- Reads what the holds of the deployment follow from, in one command.
-- KEYS
--   1 listening hash
--   2 watermarks zset
--   3 state of the sync
--   4 holds hash
--   5 failover hash
--   6 operator holds hash
-- Returns a list, with nil for what there is not:
--   1 {since, until, loss_possible_until, gaps, taken_over, taken_over_at, begun} of the listening hash
--   2 lowest watermark
--   3 {completed, succeeded, full_begun} of the state of the sync
--   4 1 if data may have been lost since the latest pass that wrote everything began
--   5 {mass_loss, mass_delete, mass_loss_evaluated} of the holds hash
--   6 id and operator hold (JSON), one after the other
local lowest = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
local data_epoch = redis.call('HGET', KEYS[5], 'data_epoch')
return {
  redis.call('HMGET', KEYS[1], 'since', 'until', 'loss_possible_until', 'gaps', 'taken_over', 'taken_over_at', 'begun'),
  lowest[2] or false,
  redis.call('HMGET', KEYS[3], 'completed', 'succeeded', 'full_begun'),
  data_epoch and data_epoch ~= redis.call('HGET', KEYS[3], 'rewritten_at_epoch') and 1,
  redis.call('HMGET', KEYS[4], 'mass_loss', 'mass_delete', 'mass_loss_evaluated'),
  redis.call('HGETALL', KEYS[6]),
}
