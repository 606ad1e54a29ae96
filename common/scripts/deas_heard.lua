-- Heartbeats that are equal to the last one of their DEA: sets only when the DEA was heard.
-- KEYS  1 heard zset, 2 previous zset, 3 digest hash
-- ARGV  1 now (ms), 2 droplet_lost (ms), then pairs: DEA, digest of its heartbeat
-- Returns the numbers (from 1) of the pairs that are not equal, or whose DEA was silent for longer than
-- droplet_lost: those have to be stored whole, nothing was written for them.
-- Repeatable: a second run with the same arguments only sets the same times.
local now, lost = tonumber(ARGV[1]), tonumber(ARGV[2])
local changed = {}
for i = 3, #ARGV, 2 do
  local dea = ARGV[i]
  local heard = redis.call('ZSCORE', KEYS[1], dea)
  if heard and redis.call('HGET', KEYS[3], dea) == ARGV[i + 1] and now - tonumber(heard) <= lost then
    if now > tonumber(heard) then
      redis.call('ZADD', KEYS[2], heard, dea)
      redis.call('ZADD', KEYS[1], now, dea)
    end
  else
    changed[#changed + 1] = (i - 1) / 2
  end
end
return changed
