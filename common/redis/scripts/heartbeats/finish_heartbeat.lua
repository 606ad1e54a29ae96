-- Ends what begin_heartbeat began, once all droplets are written.
-- KEYS  1 digest hash, 2 the DEA's list hash, 3 instances hash, 4 lineage hash
-- ARGV  1 the time given to begin_heartbeat (ms), 2 DEA, 3 digest, 4 how many running instances it lists, 5 epoch of data
--       as begin_heartbeat told, 6 droplets that were written and that it does not list (a line each); '' outside a cluster
-- Returns 1, or 0 if a newer heartbeat has begun since: that one then writes everything itself.
-- include finish
local list = unfinished(KEYS[2], ARGV[1])
if not list then
  return 0
end
finish(list, KEYS[1], KEYS[2], KEYS[3], KEYS[4], ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6])
return 1
