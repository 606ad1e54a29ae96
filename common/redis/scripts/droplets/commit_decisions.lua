-- Stores what the analyzer decided about some droplets: of each, if its record is still the one it decided on.
-- KEYS  for each droplet: its hash, due zset, decision log, troubled zset; in a cluster all of one slice
-- ARGV  1 length of the log; then for each droplet: id, rev that was read, the now of the decision (ms), when to look
--       again (ms, or ''), how badly off it is (0: it is as it should be), how many fields to set, how many to delete,
--       how many log entries, then field, value ...; field ...; entry (JSON) ...
-- Returns for each droplet 1, or 0 if its record has changed since: read it again and decide anew; or in words what is
-- wrong with its keys, if somebody has made something else of them by hand.
-- A look that was asked for after the decision's now stays asked for.
-- include attempt
local HEAD = 8
local function store(k, arg, sets, dels, logs)
  local hash, due, log, troubled = KEYS[k], KEYS[k + 1], KEYS[k + 2], KEYS[k + 3]
  local id, rev, now, again, severity = ARGV[arg], ARGV[arg + 1], ARGV[arg + 2], ARGV[arg + 3], ARGV[arg + 4]
  if redis.call('HGET', hash, 'rev') ~= rev then
    return 0
  end
  arg = arg + HEAD
  for _ = 1, sets do
    redis.call('HSET', hash, ARGV[arg], ARGV[arg + 1])
    arg = arg + 2
  end
  for _ = 1, dels do
    redis.call('HDEL', hash, ARGV[arg])
    arg = arg + 1
  end
  if sets + dels > 0 then
    redis.call('HINCRBY', hash, 'rev', 1)
  end
  for _ = 1, logs do
    redis.call('XADD', log, 'MAXLEN', '~', ARGV[1], '*', 'entry', ARGV[arg])
    arg = arg + 1
  end
  if severity == '0' then
    redis.call('ZREM', troubled, id)
  else
    redis.call('ZADD', troubled, severity, id)
  end
  local at = redis.call('ZSCORE', due, id)
  local asked = at and tonumber(at) > tonumber(now)
  if again ~= '' then
    if not asked or tonumber(again) < tonumber(at) then
      redis.call('ZADD', due, again, id)
    end
  elseif at and not asked then
    redis.call('ZREM', due, id)
  end
  return 1
end
local stored, arg = {}, 2
for k = 1, #KEYS, 4 do
  local sets, dels, logs = tonumber(ARGV[arg + 5]), tonumber(ARGV[arg + 6]), tonumber(ARGV[arg + 7])
  stored[#stored + 1] = attempt(store, k, arg, sets, dels, logs)
  arg = arg + HEAD + 2 * sets + dels + logs
end
return stored
