-- The time of the one Redis node whose clock all processes use: that of the key given.
-- KEYS  1 any key of the fleet
-- Returns seconds, microseconds.
return redis.call('TIME')
