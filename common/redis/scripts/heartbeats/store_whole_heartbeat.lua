-- Writes all droplets of a heartbeat and ends it, in one step. Not for a cluster, where the keys are on several nodes.
-- KEYS
--   1 digest hash
--   2 list hash of the DEA
--   3 running instances hash
--   4 failover hash
--   5 hash of wanted droplets by DEA
--   then for each droplet, as in store_heartbeat_droplets.lua:
--   1 droplet hash
--   2 piece of the index
--   3 due zset
-- ARGV
--   1 to 10 as in store_heartbeat_droplets.lua
--   11 digest
--   12 how many running instances it lists
--   13 how many instances it lists of those other droplets of which the DEA holds a wanted slot
--   14 those of its other droplets of which it holds none, a line each
--   15 droplets that it ceased to list, a line each
--   then for each droplet as in store_heartbeat_droplets.lua
-- Returns as store_heartbeat_droplets.lua; 'superseded' if it has ended or a newer heartbeat has begun: nothing is written
--   then. If something was rejected or is lost the heartbeat is not ended.
-- Guarantees
--   A repeat whose reply was lost writes nothing: newer heartbeats may have been stored since, without a fence. A newer one
--   that has begun finds these droplets in the list and writes them all.
-- include store_droplets
-- include end_heartbeat
local list = unfinished_list(KEYS[2], ARGV[1])
if not list then
  return 'superseded'
end
local result, wanted = store_droplets(6, 16)
if #result[5] + #result[6] > 0 then
  return result
end
local unwanted = ARGV[14]
for _, droplet in ipairs(result[4]) do
  unwanted = unwanted .. droplet .. '\n'
end
end_heartbeat(
  { digests = KEYS[1], list = KEYS[2], running_counts = KEYS[3], failover = KEYS[4], wanted_counts = KEYS[5] },
  {
    list = list,
    at = ARGV[1],
    dea = ARGV[4],
    digest = ARGV[11],
    running = ARGV[12],
    wanted = wanted + tonumber(ARGV[13]),
    unwanted = unwanted,
    misfits = '',
    data_epoch = '',
    delisted = ARGV[15],
  }
)
return result
