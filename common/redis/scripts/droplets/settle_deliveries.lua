-- Stores the outcomes of decided starts and stops, each only if the record is still the one that was checked.
-- KEYS for each delivery, in a cluster all of one slice:
--   1 droplet hash
--   2 due zset
--   3 decision log
-- ARGV
--   1 length of the decision log
--   then for each delivery:
--   1 droplet
--   2 revision that was read
--   3 decision id
--   4 outcome (JSON)
--   5 when to reconcile again (ms)
--   6 log entry (JSON)
-- Returns for each delivery: 'settled'; 'conflict' if the record has changed, so that it must be checked again; or
--   {'problem', message} if one of its keys has the wrong type.
-- Guarantees
--   Of several nudgers that hold the same job one settles it, and that one sends.
--   Repeatable: a caller that asks again because the reply was lost gets the same result.
-- include attempt
-- include append_to_log
local function settle(k, arg)
  local hash, due, log = KEYS[k], KEYS[k + 1], KEYS[k + 2]
  local droplet, rev, decision, outcome = ARGV[arg], ARGV[arg + 1], ARGV[arg + 2], ARGV[arg + 3]
  local field = 'outcome:' .. decision
  local stored = redis.call('HMGET', hash, 'rev', field)
  if stored[2] == outcome then
    return 'settled'
  end
  if stored[1] ~= rev then
    return 'conflict'
  end
  redis.call('HSET', hash, field, outcome)
  redis.call('HINCRBY', hash, 'rev', 1)
  redis.call('ZADD', due, 'LT', ARGV[arg + 4], droplet)
  append_to_log(log, ARGV[1], ARGV[arg + 5])
  return 'settled'
end
local results = {}
for n = 1, #KEYS / 3 do
  results[n] = attempt(settle, 3 * n - 2, 6 * n - 4)
end
return results
