-- Stores that a DEA announced its shutdown.
-- KEYS
--   1 last heartbeat zset
--   2 shutdown hash
--   3 list hash of the DEA
-- ARGV
--   1 DEA
--   2 when it was received (ms)
--   3 how long the shutdown of an unknown DEA is kept (ms)
-- Returns 'stored', or 'kept' if no heartbeat of the DEA is known: it may have been delivered before and be stored later. Then its list
--   has nothing but the field `shutdown`, which begin_heartbeat.lua takes over; it expires, so that made-up DEAs fill nothing.
-- Guarantees: repeatable.
local is_known = redis.call('ZSCORE', KEYS[1], ARGV[1]) or redis.call('HEXISTS', KEYS[3], 'at') == 1
if is_known then
  redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
  return 'stored'
end
redis.call('HSET', KEYS[3], 'shutdown', ARGV[2])
redis.call('PEXPIRE', KEYS[3], ARGV[3])
return 'kept'
