-- Removes a droplet that is neither desired nor running, if the record is still the one that was read.
-- KEYS
--   1 droplet hash
--   2 due zset
--   3 piece of the index
--   4 decision log
--   5 troubled zset
-- ARGV
--   1 droplet
--   2 revision that was read
--   3 length of the decision log
--   4 log entry (JSON)
-- Returns 'removed', or 'conflict' if the record has changed.
-- include append_to_log
if redis.call('HGET', KEYS[1], 'rev') ~= ARGV[2] then
  return 'conflict'
end
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('HDEL', KEYS[3], ARGV[1])
redis.call('ZREM', KEYS[5], ARGV[1])
append_to_log(KEYS[4], ARGV[3], ARGV[4])
return 'removed'
