-- Ends what dea_begin began, once all droplets are written.
-- KEYS  1 digest hash, 2 the DEA's list hash, 3 instances hash
-- ARGV  1 the time given to dea_begin (ms), 2 DEA, 3 digest, 4 how many running instances it lists, 5 losses of data
--       as dea_begin told, 6 droplets that were written (a line each, as in the list); '' outside a cluster
-- Returns 1, or 0 if a newer heartbeat has begun since: that one then writes everything itself.
if redis.call('HGET', KEYS[2], 'at') ~= ARGV[1] then
  return 0
end
local list = redis.call('HGET', KEYS[2], 'next')
if not list then
  return 0
end
redis.call('HSET', KEYS[2], 'list', list)
redis.call('HDEL', KEYS[2], 'next', 'writing')
if ARGV[5] ~= '' then
  redis.call('HSET', KEYS[2], 'losses', ARGV[5], 'touched', ARGV[6])
end
redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
redis.call('HSET', KEYS[3], ARGV[2], ARGV[4])
return 1
