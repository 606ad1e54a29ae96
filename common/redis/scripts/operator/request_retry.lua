-- Stores that an operator asked for another try of slots, logs it, and makes the droplet due.
-- KEYS
--   1 droplet hash
--   2 due zset
--   3 decision log
-- ARGV
--   1 droplet
--   2 now (ms)
--   3 length of the decision log
--   4 log entry (JSON)
--   then each index
-- Returns 'stored', or 'unknown' if there is no record.
-- Guarantees
--   Repeatable; the log then has the entry twice.
-- include append_to_log
if redis.call('EXISTS', KEYS[1]) == 0 then
  return 'unknown'
end
for at = 5, #ARGV do
  redis.call('HSET', KEYS[1], 'retry:' .. ARGV[at], ARGV[2])
end
redis.call('HINCRBY', KEYS[1], 'rev', 1)
redis.call('ZADD', KEYS[2], ARGV[2], ARGV[1])
append_to_log(KEYS[3], ARGV[3], ARGV[4])
return 'stored'
