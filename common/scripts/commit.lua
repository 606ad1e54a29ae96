-- Stores what the analyzer decided about a droplet, if the record is still the one it decided on.
-- KEYS  1 droplet hash, 2 due zset, 3 decision log, 4 troubled zset
-- ARGV  1 droplet, 2 rev that was read, 3 the now of the decision (ms), 4 when to look again (ms, or ''),
--       5 length of the log, 6 how many fields to set, 7 how many to delete, 8 how many log entries,
--       9 how badly off the droplet is (0: it is as it should be), then field, value ...; field ...; entry (JSON) ...
-- Returns 1, or 0 if the record has changed since: read it again and decide anew.
-- A look that was asked for after the decision's now stays asked for.
if redis.call('HGET', KEYS[1], 'rev') ~= ARGV[2] then
  return 0
end
local arg = 10
local sets, dels, logs = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
for _ = 1, sets do
  redis.call('HSET', KEYS[1], ARGV[arg], ARGV[arg + 1])
  arg = arg + 2
end
for _ = 1, dels do
  redis.call('HDEL', KEYS[1], ARGV[arg])
  arg = arg + 1
end
if sets + dels > 0 then
  redis.call('HINCRBY', KEYS[1], 'rev', 1)
end
for _ = 1, logs do
  redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[5], '*', 'entry', ARGV[arg])
  arg = arg + 1
end
if ARGV[9] == '0' then
  redis.call('ZREM', KEYS[4], ARGV[1])
else
  redis.call('ZADD', KEYS[4], ARGV[9], ARGV[1])
end
local due = redis.call('ZSCORE', KEYS[2], ARGV[1])
local asked = due and tonumber(due) > tonumber(ARGV[3])
if ARGV[4] ~= '' then
  if not asked or tonumber(ARGV[4]) < tonumber(due) then
    redis.call('ZADD', KEYS[2], ARGV[4], ARGV[1])
  end
elseif due and not asked then
  redis.call('ZREM', KEYS[2], ARGV[1])
end
return 1
