-- Heartbeats that are equal to the last one of their DEA: sets only when the DEA was heard.
-- KEYS  1 heard zset, 2 previous zset, 3 digest hash
-- ARGV  1 droplet_lost (ms), then for each: DEA, digest of its heartbeat, when it was received (ms)
-- Returns the numbers (from 1) of those that are not equal, or whose DEA was silent for longer than
-- droplet_lost: they have to be stored whole, nothing was written for them.
-- Repeatable: a second run with the same arguments changes nothing.
local lost = tonumber(ARGV[1])
local changed = {}
for i = 2, #ARGV, 3 do
  local dea, at = ARGV[i], tonumber(ARGV[i + 2])
  local heard = redis.call('ZSCORE', KEYS[1], dea)
  if heard and redis.call('HGET', KEYS[3], dea) == ARGV[i + 1] and at - tonumber(heard) <= lost then
    if at > tonumber(heard) then
      redis.call('ZADD', KEYS[2], heard, dea)
      redis.call('ZADD', KEYS[1], ARGV[i + 2], dea)
    end
  else
    changed[#changed + 1] = (i + 1) / 3
  end
end
return changed
