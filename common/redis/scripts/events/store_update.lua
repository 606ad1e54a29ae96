-- Stores that the controller changed a droplet (droplet.updated).
-- KEYS
--   1 droplet hash
--   2 due zset
--   3 piece of the index
-- ARGV
--   1 droplet
--   2 now (ms)
-- Returns 'stored'.
-- Guarantees
--   The latest time stays. Repeatable.
-- include begin_record
begin_record(KEYS[1], KEYS[3], ARGV[1], ARGV[2])
local known = redis.call('HGET', KEYS[1], 'updated')
if not known or tonumber(known) < tonumber(ARGV[2]) then
  redis.call('HSET', KEYS[1], 'updated', ARGV[2])
  redis.call('HINCRBY', KEYS[1], 'rev', 1)
end
redis.call('ZADD', KEYS[2], ARGV[2], ARGV[1])
return 'stored'
