-- Stores when DEAs sent a heartbeat, for heartbeats that equal the last one of their DEA.
-- KEYS
--   1 last heartbeat zset
--   2 previous heartbeat zset
--   3 digest hash
--   4 shutdown hash
--   5 listening hash
--   6 lost zset
-- ARGV
--   1 droplet_lost (ms)
--   2 longest time by which any of them may have been delivered before it was received (ms)
--   3 how often each DEA is verified (ms)
--   4 a longer time without a watermark is a gap (ms)
--   then for each heartbeat:
--   1 DEA
--   2 digest
--   3 when it was received (ms)
-- Returns a list of two:
--   1 the DEAs whose heartbeat must be stored as a whole, because it differs, follows a silence longer than droplet_lost
--     (in listening time) or one for which the DEA's droplets were made due, or shows that the DEA runs on after it announced
--     its shutdown: nothing is written for them
--   2 the DEAs whose droplets must be verified: each DEA has its turn at a time of its own
-- Guarantees
--   Repeatable: a second run with the same arguments changes nothing, but returns no DEA to verify.
-- include verify_period
local droplet_lost = tonumber(ARGV[1])
local lag = tonumber(ARGV[2])
local verify_every = tonumber(ARGV[3])
local max_gap = tonumber(ARGV[4])
local changed, verify = {}, {}
local has_shutdowns = redis.call('EXISTS', KEYS[4]) == 1
-- A heartbeat that was delivered before the shutdown and handled after it does not show that the DEA runs on.
local function runs_on(dea, at)
  local shutdown = has_shutdowns and redis.call('HGET', KEYS[4], dea)
  return shutdown and tonumber(at) - lag > (tonumber(shutdown) or 0)
end
-- Oldest first. After the last watermark a gap lasts, which the next one will add to the list.
local gaps
local function read_gaps(now)
  local stored = redis.call('HMGET', KEYS[5], 'gaps', 'until')
  gaps = {}
  for begun, ended in string.gmatch(stored[1] or '', '(%d+) (%d+)') do
    gaps[#gaps + 1] = { tonumber(begun), tonumber(ended) }
  end
  local last = tonumber(stored[2] or '')
  if last and now - last > max_gap then
    gaps[#gaps + 1] = { last, now }
  end
end
-- As `listeningTimeMs` in common/policy/fleet/listening-time.ts.
local function listening_time(from, to)
  local listened = 0
  for g = #gaps, 1, -1 do
    if to <= from or gaps[g][2] <= from then
      break
    end
    listened = listened + math.max(0, to - gaps[g][2])
    to = math.min(to, gaps[g][1])
  end
  return listened + math.max(0, to - from)
end
local function was_lost(dea, last, at)
  if at - last <= droplet_lost then
    return false
  end
  if not gaps then
    read_gaps(at)
  end
  if listening_time(last, at) > droplet_lost then
    return true
  end
  return tonumber(redis.call('ZSCORE', KEYS[6], dea) or '') == last
end
for i = 5, #ARGV, 3 do
  local dea, digest, at = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local last = redis.call('ZSCORE', KEYS[1], dea)
  local is_equal = last and redis.call('HGET', KEYS[3], dea) == digest
  if is_equal and not was_lost(dea, tonumber(last), tonumber(at)) and not runs_on(dea, at) then
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
