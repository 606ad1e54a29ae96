-- Stores when DEAs sent a heartbeat, for heartbeats that equal the last one of their DEA.
-- KEYS
--   1 last heartbeat zset
--   2 previous heartbeat zset
--   3 digest hash
--   4 shutdown hash
-- ARGV
--   1 droplet_lost (ms)
--   2 longest time by which any of them may have been delivered before it was received (ms)
--   3 how often each DEA is verified (ms)
--   then for each heartbeat:
--   1 DEA
--   2 digest
--   3 when it was received (ms)
-- Returns a list of two:
--   1 the DEAs whose heartbeat must be stored as a whole, because it differs, follows a silence longer than droplet_lost,
--     or shows that the DEA runs on after it announced its shutdown:
--     nothing is written for them
--   2 the DEAs whose droplets must be verified: each DEA has its turn at a time of its own
-- Guarantees
--   Repeatable: a second run with the same arguments changes nothing, but returns no DEA to verify.
-- include verify_period
local droplet_lost = tonumber(ARGV[1])
local lag = tonumber(ARGV[2])
local verify_every = tonumber(ARGV[3])
local changed, verify = {}, {}
local has_shutdowns = redis.call('EXISTS', KEYS[4]) == 1
-- A heartbeat that was delivered before the shutdown and handled after it does not show that the DEA runs on.
local function runs_on(dea, at)
  local shutdown = has_shutdowns and redis.call('HGET', KEYS[4], dea)
  return shutdown and tonumber(at) - lag > (tonumber(shutdown) or 0)
end
for i = 4, #ARGV, 3 do
  local dea, digest, at = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local last = redis.call('ZSCORE', KEYS[1], dea)
  local is_equal = last and redis.call('HGET', KEYS[3], dea) == digest
  if is_equal and tonumber(at) - tonumber(last) <= droplet_lost and not runs_on(dea, at) then
    if tonumber(at) > tonumber(last) then
      redis.call('ZADD', KEYS[2], last, dea)
      redis.call('ZADD', KEYS[1], at, dea)
      if is_verified_between(dea, last, at, verify_every) then
        verify[#verify + 1] = dea
      end
    end
  else
    changed[#changed + 1] = dea
  end
end
return { changed, verify }
