-- A complete pass no longer lists these droplets of one slice.
-- KEYS  1 due zset of the slice, 2 pass of the slice, 3 decision log, then the droplets' hashes
-- ARGV  1 now (ms), 2 when they were last listed (ms), 3 the pass's number, 4 length of the log, then the ids
-- Returns how many droplets changed; -1 if this is not the pass that writes (see fence.lua).
-- Repeatable: the first time stays.
if redis.call('GET', KEYS[2]) ~= ARGV[3] then
  return -1
end
local changed = 0
for k = 4, #KEYS do
  local known = redis.call('HEXISTS', KEYS[k], 'desired') == 1 or redis.call('HEXISTS', KEYS[k], 'listed') == 1
  if known and redis.call('HSETNX', KEYS[k], 'gone', ARGV[2]) == 1 then
    redis.call('HINCRBY', KEYS[k], 'rev', 1)
    redis.call('ZADD', KEYS[1], ARGV[1], ARGV[k + 1])
    local entry = { atMs = tonumber(ARGV[1]), droplet = ARGV[k + 1], kind = 'gone', listedMs = tonumber(ARGV[2]) }
    redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[4], '*', 'entry', cjson.encode(entry))
    changed = changed + 1
  end
end
return changed
