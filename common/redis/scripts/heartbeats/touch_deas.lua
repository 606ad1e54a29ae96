-- Stores when DEAs sent a heartbeat, for heartbeats that equal the last one of their DEA.
-- KEYS
--   1 last heartbeat zset
--   2 previous heartbeat zset
--   3 digest hash
-- ARGV
--   1 droplet_lost (ms)
--   then for each heartbeat:
--   1 DEA
--   2 digest
--   3 when it was received (ms)
-- Returns the DEAs whose heartbeat must be stored as a whole, because it differs or follows a silence longer than droplet_lost.
-- Guarantees
--   Nothing is written for the DEAs that are returned.
--   Repeatable: a second run with the same arguments changes nothing.
local droplet_lost = tonumber(ARGV[1])
local changed = {}
for i = 2, #ARGV, 3 do
  local dea, digest, at = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local last = redis.call('ZSCORE', KEYS[1], dea)
  if last and redis.call('HGET', KEYS[3], dea) == digest and tonumber(at) - tonumber(last) <= droplet_lost then
    if tonumber(at) > tonumber(last) then
      redis.call('ZADD', KEYS[2], last, dea)
      redis.call('ZADD', KEYS[1], at, dea)
    end
  else
    changed[#changed + 1] = dea
  end
end
return changed
