-- Makes droplets due later than they were stored to be, if nothing has changed since.
-- KEYS for each droplet, in a cluster all of one slice:
--   1 droplet hash
--   2 due zset
-- ARGV for each droplet:
--   1 id
--   2 revision of its record
--   3 when it is due (ms)
--   4 when it is to be due instead (ms)
-- Returns how many were postponed.
local postponed = 0
for d = 1, #KEYS / 2 do
  local hash, due, arg = KEYS[2 * d - 1], KEYS[2 * d], 4 * d - 3
  local id, rev, due_at, later = ARGV[arg], ARGV[arg + 1], ARGV[arg + 2], ARGV[arg + 3]
  local stored_at = redis.call('ZSCORE', due, id)
  if stored_at and tonumber(stored_at) == tonumber(due_at) and redis.call('HGET', hash, 'rev') == rev then
    redis.call('ZADD', due, later, id)
    postponed = postponed + 1
  end
end
return postponed
