-- What a bulk page says of some droplets of one slice.
-- KEYS  1 due zset of the slice, 2 pass of the slice, 3 decision log, then for each droplet: its hash, its piece of the index
-- ARGV  1 now (ms), 2 when the pass began (ms), 3 the pass's number, 4 for each droplet two lines: its id, its
--       desired state in words; no words: it is listed, but what is said of it cannot be read;
--       5 length of the log
-- Returns how many droplets changed; -1 if this is not the pass that writes, nothing is changed then.
-- A record that somebody edited into something that cannot be written is left as it is and is due, so that the
-- analyzer tells of it; the others are written.
-- Repeatable. An older pass's words never come after a newer one's, however late they are: see fence_pass.lua.
if redis.call('GET', KEYS[2]) ~= ARGV[3] then
  return -1
end
local now, begun = ARGV[1], ARGV[2]
local changed, k = 0, 4
-- A first desired state is no news, nor is another updated_at with all else as it was.
local function log(kind, id, old, words)
  local entry = { atMs = tonumber(now), droplet = id, kind = kind, was = old, is = words }
  redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[5], '*', 'entry', cjson.encode(entry))
end
local function is_count(text)
  return string.find(text, '^%d+$') and #text < 16
end
local function without_time(words)
  return string.match(words, '^(.*) updated ')
end
for id, words in string.gmatch(ARGV[4], '([^\n]*)\n([^\n]*)\n') do
  local key = KEYS[k]
  local old = redis.pcall('HMGET', key, 'seen', 'desired', 'gone', 'updated', 'listed', 'rev')
  local unreadable = old.err or (old[6] and not is_count(old[6]))
  local new = not old[1]
  local updated, last = tonumber(old[4] or ''), tonumber(old[5] or '')
  local lifts = updated and updated < tonumber(begun) and not (last and last > updated)
  -- `listed` without `desired` says that it is in the desired state, only nobody knows how.
  local listed = lifts or (words == '' and not old[2] and not old[5])
  local differs = words ~= '' and old[2] ~= words
  if new then
    redis.call('HSET', KEYS[k + 1], id, '')
  end
  if unreadable then
    redis.call('ZADD', KEYS[1], now, id)
  elseif new and differs then
    redis.call('HSET', key, 'seen', now, 'desired', words, 'rev', 1)
    redis.call('ZADD', KEYS[1], now, id)
    changed = changed + 1
  elseif differs or old[3] or listed then
    if new then
      redis.call('HSET', key, 'seen', now)
    end
    if differs then
      redis.call('HSET', key, 'desired', words)
      if old[2] and without_time(old[2]) ~= without_time(words) then
        log('desired', id, old[2], words)
      end
    end
    if old[3] then
      redis.call('HDEL', key, 'gone')
      log('listed', id)
    end
    if listed then
      redis.call('HSET', key, 'listed', begun)
    end
    redis.call('HINCRBY', key, 'rev', 1)
    redis.call('ZADD', KEYS[1], now, id)
    changed = changed + 1
  end
  k = k + 2
end
return changed
