-- A complete pass no longer lists these droplets of one slice.
-- KEYS  1 due zset of the slice, 2 pass of the slice, 3 decision log, then the droplets' hashes
-- ARGV  1 now (ms), 2 when they were last listed (ms), 3 the pass's number, 4 length of the log, then the ids
-- Returns how many droplets changed; -1 if this is not the pass that writes (see fence_pass.lua).
-- A record that somebody edited into something that cannot be written is left as it is and is due, so that the
-- analyzer tells of it.
-- Repeatable: the first time stays.
if redis.call('GET', KEYS[2]) ~= ARGV[3] then
  return -1
end
local changed = 0
for k = 4, #KEYS do
  local old = redis.pcall('HMGET', KEYS[k], 'desired', 'listed', 'rev')
  local known = old[1] or old[2]
  if old.err or (old[3] and not (string.find(old[3], '^%d+$') and #old[3] < 16)) then
    redis.call('ZADD', KEYS[1], ARGV[1], ARGV[k + 1])
  elseif known and redis.call('HSETNX', KEYS[k], 'gone', ARGV[2]) == 1 then
    redis.call('HINCRBY', KEYS[k], 'rev', 1)
    redis.call('ZADD', KEYS[1], ARGV[1], ARGV[k + 1])
    local entry = { atMs = tonumber(ARGV[1]), droplet = ARGV[k + 1], kind = 'gone', listedMs = tonumber(ARGV[2]) }
    redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[4], '*', 'entry', cjson.encode(entry))
    changed = changed + 1
  end
end
return changed
