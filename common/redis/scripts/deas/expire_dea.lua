-- Removes a DEA that has been silent for very long.
-- KEYS
--   1 last heartbeat zset
--   2 previous heartbeat zset
--   3 digest hash
--   4 running instances hash
--   5 shutdown hash
--   6 lost zset
--   7 list hash of the DEA
--   8 hash of wanted droplets by DEA
-- ARGV
--   1 DEA
--   2 it is removed if its last heartbeat is older than this (ms)
-- Returns 'expired', or 'kept' if it sent a heartbeat since.
local last = redis.call('ZSCORE', KEYS[1], ARGV[1])
if last and tonumber(last) >= tonumber(ARGV[2]) then
  return 'kept'
end
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('HDEL', KEYS[3], ARGV[1])
redis.call('HDEL', KEYS[4], ARGV[1])
redis.call('HDEL', KEYS[5], ARGV[1])
redis.call('ZREM', KEYS[6], ARGV[1])
redis.call('DEL', KEYS[7])
redis.call('HDEL', KEYS[8], ARGV[1])
return 'expired'
