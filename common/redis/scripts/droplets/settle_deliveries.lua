-- What becomes of some decided starts and stops: of each, if the record is still the one that was checked. Of all nudgers
-- that may hold the same job one is told 1, and that one sends.
-- KEYS  for each: droplet hash, due zset, decision log; in a cluster all of one slice
-- ARGV  1 length of the log; then for each: droplet, rev that was read, decision id, outcome (JSON), when to look again
--       (ms), log entry (JSON)
-- Returns for each 1, or 0 if the record has changed since: check again; or in words what is wrong with its keys, if
-- somebody has made something else of them by hand.
-- Repeatable: who asks once more, as the answer was lost, is told the same.
-- include attempt
local function settle(k, arg)
  local hash, due, log = KEYS[k], KEYS[k + 1], KEYS[k + 2]
  local field = 'outcome:' .. ARGV[arg + 2]
  local known = redis.call('HMGET', hash, 'rev', field)
  if known[2] == ARGV[arg + 3] then
    return 1
  end
  if known[1] ~= ARGV[arg + 1] then
    return 0
  end
  redis.call('HSET', hash, field, ARGV[arg + 3])
  redis.call('HINCRBY', hash, 'rev', 1)
  redis.call('ZADD', due, 'LT', ARGV[arg + 4], ARGV[arg])
  redis.call('XADD', log, 'MAXLEN', '~', ARGV[1], '*', 'entry', ARGV[arg + 5])
  return 1
end
local settled = {}
for n = 1, #KEYS / 3 do
  settled[n] = attempt(settle, 3 * n - 2, 6 * n - 4)
end
return settled
