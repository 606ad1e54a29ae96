-- Clean-up of a DEA that has been silent for very long.
-- KEYS  1 heard, 2 previous, 3 digest, 4 instances, 5 shutdown, 6 lost, 7 its list
-- ARGV  1 DEA, 2 forget it if it was last heard before then (ms)
-- Returns 1, or 0 if it was heard since.
local heard = redis.call('ZSCORE', KEYS[1], ARGV[1])
if heard and tonumber(heard) >= tonumber(ARGV[2]) then
  return 0
end
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('HDEL', KEYS[3], ARGV[1])
redis.call('HDEL', KEYS[4], ARGV[1])
redis.call('HDEL', KEYS[5], ARGV[1])
redis.call('ZREM', KEYS[6], ARGV[1])
redis.call('DEL', KEYS[7])
return 1
