-- Stores the analyzer's decisions about droplets, each only if its record is still the one that was decided on.
-- KEYS for each droplet, in a cluster all of one slice:
--   1 droplet hash
--   2 due zset
--   3 decision log
--   4 troubled zset
-- ARGV
--   1 length of the decision log
--   then for each droplet:
--   1 id
--   2 revision that was read
--   3 time of the decision (ms)
--   4 when to reconcile again (ms), or ''
--   5 severity; 0: nothing is wrong
--   6 how many fields to set
--   7 how many fields to delete
--   8 how many log entries
--   then field and value of each to set; field of each to delete; each log entry (JSON)
-- Returns for each droplet: 'stored'; 'conflict' if its record has changed, so that it must be read and decided again; or
--   {'problem', message} if one of its keys has the wrong type.
-- Guarantees
--   Of several decisions on one revision only one is stored, if it changes the record.
--   A reconcile that was requested after the time of the decision stays due.
-- include attempt
-- include append_to_log
local HEAD = 8
local function commit(k, arg, sets, deletes, entries)
  local hash, due, log, troubled = KEYS[k], KEYS[k + 1], KEYS[k + 2], KEYS[k + 3]
  local id, rev, now, requeue_at, severity = ARGV[arg], ARGV[arg + 1], ARGV[arg + 2], ARGV[arg + 3], ARGV[arg + 4]
  if redis.call('HGET', hash, 'rev') ~= rev then
    return 'conflict'
  end
  arg = arg + HEAD
  for _ = 1, sets do
    redis.call('HSET', hash, ARGV[arg], ARGV[arg + 1])
    arg = arg + 2
  end
  for _ = 1, deletes do
    redis.call('HDEL', hash, ARGV[arg])
    arg = arg + 1
  end
  if sets + deletes > 0 then
    redis.call('HINCRBY', hash, 'rev', 1)
  end
  for _ = 1, entries do
    append_to_log(log, ARGV[1], ARGV[arg])
    arg = arg + 1
  end
  if severity == '0' then
    redis.call('ZREM', troubled, id)
  else
    redis.call('ZADD', troubled, severity, id)
  end
  local due_at = redis.call('ZSCORE', due, id)
  local is_requested = due_at and tonumber(due_at) > tonumber(now)
  if requeue_at ~= '' then
    if not is_requested or tonumber(requeue_at) < tonumber(due_at) then
      redis.call('ZADD', due, requeue_at, id)
    end
  elseif due_at and not is_requested then
    redis.call('ZREM', due, id)
  end
  return 'stored'
end
local results, arg = {}, 2
for k = 1, #KEYS, 4 do
  local sets, deletes, entries = tonumber(ARGV[arg + 5]), tonumber(ARGV[arg + 6]), tonumber(ARGV[arg + 7])
  results[#results + 1] = attempt(commit, k, arg, sets, deletes, entries)
  arg = arg + HEAD + 2 * sets + deletes + entries
end
return results
