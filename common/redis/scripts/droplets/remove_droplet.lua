-- Clean-up of a droplet that is neither desired nor running, if the record is still the one that was read.
-- KEYS  1 droplet hash, 2 due zset, 3 piece of the index, 4 decision log, 5 troubled zset
-- ARGV  1 droplet, 2 rev that was read, 3 length of the log, 4 log entry (JSON)
-- Returns 1, or 0 if the record has changed since.
if redis.call('HGET', KEYS[1], 'rev') ~= ARGV[2] then
  return 0
end
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('HDEL', KEYS[3], ARGV[1])
redis.call('ZREM', KEYS[5], ARGV[1])
redis.call('XADD', KEYS[4], 'MAXLEN', '~', ARGV[3], '*', 'entry', ARGV[4])
return 1
