-- What becomes of a decided start or stop, if the record is still the one that was checked: of all nudgers
-- that may hold the same job one is told 1, and that one sends.
-- KEYS  1 droplet hash, 2 due zset, 3 decision log
-- ARGV  1 droplet, 2 rev that was read, 3 decision id, 4 outcome (JSON), 5 when to look again (ms),
--       6 length of the log, 7 log entry (JSON)
-- Returns 1, or 0 if the record has changed since: check again.
-- Repeatable: who asks once more, as the answer was lost, is told the same.
if redis.call('HGET', KEYS[1], 'outcome:' .. ARGV[3]) == ARGV[4] then
  return 1
end
if redis.call('HGET', KEYS[1], 'rev') ~= ARGV[2] then
  return 0
end
redis.call('HSET', KEYS[1], 'outcome:' .. ARGV[3], ARGV[4])
redis.call('HINCRBY', KEYS[1], 'rev', 1)
redis.call('ZADD', KEYS[2], 'LT', ARGV[5], ARGV[1])
redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[6], '*', 'entry', ARGV[7])
return 1
