-- Looks at some droplets later than it was stored, if nothing has come in between.
-- KEYS  for each droplet: its hash, due zset; in a cluster all of one slice
-- ARGV  for each droplet: id, rev that its record has since, when it is due (ms), when it is to be due instead (ms)
-- Returns how many are postponed.
local postponed = 0
for d = 1, #KEYS / 2 do
  local hash, due, arg = KEYS[2 * d - 1], KEYS[2 * d], 4 * d - 3
  local at = redis.call('ZSCORE', due, ARGV[arg])
  if at and tonumber(at) == tonumber(ARGV[arg + 2]) and redis.call('HGET', hash, 'rev') == ARGV[arg + 1] then
    redis.call('ZADD', due, ARGV[arg + 3], ARGV[arg])
    postponed = postponed + 1
  end
end
return postponed
