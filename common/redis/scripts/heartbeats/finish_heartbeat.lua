-- Ends what begin_heartbeat.lua began, once all droplets are written.
-- KEYS
--   1 digest hash
--   2 list hash of the DEA
--   3 running instances hash
--   4 failover hash
--   5 hash of wanted droplets by DEA
-- ARGV
--   1 time of the heartbeat, as begin_heartbeat.lua returned it (ms)
--   2 DEA
--   3 digest; '' if something was rejected, so that the next heartbeat is stored whole
--   4 how many running instances it lists
--   5 data epoch as begin_heartbeat.lua returned it, or ''
--   6 droplets that were written and that it does not list, a line each; '' outside a cluster
--   7 how many instances it lists of droplets of which the DEA holds a wanted slot
--   8 the droplets of which it holds none, a line each
--   9 the droplets of which it lists another index or version of an instance than the record has, a line each
-- Returns 'finished', or 'superseded' if a newer heartbeat has begun: that one then writes everything.
-- include end_heartbeat
local list = unfinished_list(KEYS[2], ARGV[1])
if not list then
  return 'superseded'
end
end_heartbeat(
  { digests = KEYS[1], list = KEYS[2], running_counts = KEYS[3], failover = KEYS[4], wanted_counts = KEYS[5] },
  {
    list = list,
    at = ARGV[1],
    dea = ARGV[2],
    digest = ARGV[3],
    running = ARGV[4],
    data_epoch = ARGV[5],
    delisted = ARGV[6],
    wanted = ARGV[7],
    unwanted = ARGV[8],
    misfits = ARGV[9],
  }
)
return 'finished'
