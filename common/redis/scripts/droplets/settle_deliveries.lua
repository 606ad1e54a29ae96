-- Stores the outcomes of decided starts and stops, each only if nothing that its recheck depends on has changed since.
-- KEYS for each delivery, in a cluster all of one slice:
--   1 droplet hash
--   2 due zset
--   3 decision log
-- ARGV
--   1 length of the decision log
--   then for each delivery:
--   1 droplet
--   2 how many changes, without settlements, the record had when it was read
--   3 decision id
--   4 the outcome that it replaces (JSON), or ''
--   5 outcome (JSON)
--   6 when to reconcile again (ms)
--   7 log entry (JSON)
-- Returns for each delivery: 'settled'; 'conflict' if the record has changed, so that it must be checked again; or
--   {'problem', message} if one of its keys has the wrong type.
-- Guarantees
--   Of several nudgers that hold the same job one settles it, and that one sends.
--   Settlements of one droplet do not conflict with each other: each recheck counts every other pending stop as made.
--   Repeatable: a caller that asks again because the reply was lost gets the same result.
-- include attempt
-- include append_to_log
local function settle(k, arg)
  local hash, due, log = KEYS[k], KEYS[k + 1], KEYS[k + 2]
  local droplet, changes, replaces, outcome = ARGV[arg], ARGV[arg + 1], ARGV[arg + 3], ARGV[arg + 4]
  local field = 'outcome:' .. ARGV[arg + 2]
  local stored = redis.call('HMGET', hash, 'rev', 'settlements', field)
  if stored[3] == outcome then
    return 'settled'
  end
  local rev, settlements = tonumber(stored[1]), tonumber(stored[2]) or 0
  if rev == nil or rev - settlements ~= tonumber(changes) or (stored[3] or '') ~= replaces then
    return 'conflict'
  end
  redis.call(
    'HSET', hash, field, outcome,
    'rev', string.format('%.0f', rev + 1), 'settlements', string.format('%.0f', settlements + 1)
  )
  redis.call('ZADD', due, 'LT', ARGV[arg + 5], droplet)
  append_to_log(log, ARGV[1], ARGV[arg + 6])
  return 'settled'
end
local results = {}
for n = 1, #KEYS / 3 do
  results[n] = attempt(settle, 3 * n - 2, 7 * n - 5)
end
return results
