-- Marks droplets of one slice as gone: a complete pass no longer lists them.
-- KEYS
--   1 due zset of the slice
--   2 pass that may write in the slice
--   3 decision log of the slice
--   then for each droplet:
--   1 droplet hash
--   2 piece of the index
-- ARGV
--   1 now (ms)
--   2 when they were last listed (ms)
--   3 number of the pass
--   4 length of the decision log
--   then for each droplet:
--   1 id
-- Returns how many droplets changed; 'superseded' if another pass may write (see fence_pass.lua): nothing is written then.
-- Guarantees
--   A record that somebody edited so that it cannot be written is left alone and is due, so that the analyzer removes it.
--   Repeatable: the first time stays.
--   A record that has lost its index entry gets it back: no heartbeat and no page brings that of a droplet that is gone.
-- include is_unwritable
-- include append_to_log
if redis.call('GET', KEYS[2]) ~= ARGV[3] then
  return 'superseded'
end
local changed = 0
for k = 4, #KEYS, 2 do
  local hash, index, id = KEYS[k], KEYS[k + 1], ARGV[(k - 4) / 2 + 5]
  local old = redis.pcall('HMGET', hash, 'desired', 'listed', 'rev')
  local was_listed = old[1] or old[2]
  if is_unwritable(old, old[3]) then
    redis.call('ZADD', KEYS[1], ARGV[1], id)
  elseif was_listed and redis.call('HSETNX', hash, 'gone', ARGV[2]) == 1 then
    redis.call('HINCRBY', hash, 'rev', 1)
    redis.call('ZADD', KEYS[1], ARGV[1], id)
    local entry = { atMs = tonumber(ARGV[1]), droplet = id, kind = 'gone', listedMs = tonumber(ARGV[2]) }
    append_to_log(KEYS[3], ARGV[4], cjson.encode(entry))
    changed = changed + 1
  end
  if was_listed and redis.call('HSETNX', index, id, '') == 1 then
    redis.call('ZADD', KEYS[1], ARGV[1], id)
  end
end
return changed
