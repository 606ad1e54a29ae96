-- Writes all droplets of a heartbeat and ends it, in one step. Not for a cluster, where the keys are on several nodes.
-- KEYS
--   1 digest hash
--   2 list hash of the DEA
--   3 running instances hash
--   4 failover hash
--   then for each droplet, as in store_heartbeat_droplets.lua:
--   1 droplet hash
--   2 piece of the index
--   3 due zset
-- ARGV
--   1 to 7 as in store_heartbeat_droplets.lua
--   8 digest
--   9 how many running instances it lists
--   then for each droplet as in store_heartbeat_droplets.lua
-- Returns how many droplets changed; 'superseded' if it has ended or a newer heartbeat has begun: nothing is written then.
-- Guarantees
--   A repeat whose reply was lost writes nothing: newer heartbeats may have been stored since, without a fence. A newer one
--   that has begun finds these droplets in the list and writes them all.
-- include store_droplets
-- include end_heartbeat
local list = unfinished_list(KEYS[2], ARGV[1])
if not list then
  return 'superseded'
end
local changed = store_droplets(5, 10)
end_heartbeat(
  { digests = KEYS[1], list = KEYS[2], running_counts = KEYS[3], failover = KEYS[4] },
  { list = list, at = ARGV[1], dea = ARGV[4], digest = ARGV[8], running = ARGV[9], data_epoch = '', delisted = '' }
)
return changed
