-- What one DEA runs of some droplets, whole: an instance that the record places on that DEA
-- and that is not named is from now on one that the DEA no longer lists.
-- KEYS  of finish_heartbeat.lua, if ARGV has a digest (not in a cluster: there they are on another node), then for each droplet:
--       its hash, its piece of the index, the due zset of its slice; in a cluster all of one slice
-- ARGV  1 when the heartbeat was received (ms), 2 fence ('1' or ''), 3 ' on <dea, encoded> ', 4 DEA,
--       5 when the DEA was heard before (ms, or ''), 6 '1': the droplets are due even if what is heard of them
--       is as it was (the DEA is back from a silence), and get a new revision, so that nobody stores what
--       was decided without this DEA; 7 traceparent of the heartbeat, or ''; 8 digest of the heartbeat, if these are all
--       its droplets, so that it is finished here, or ''; 9 how many running instances it lists, or ''; then for each
--       droplet: id, how many instances, and for each: guid, its words without ' first ...'
-- Returns how many droplets changed. A record that somebody edited into something that cannot be written is left
-- as it is and is due, so that the analyzer tells of it; the others are written.
--
-- With a fence (another heartbeat of this DEA was begun and not finished) the record remembers the time, and
-- a write of an older heartbeat that is still on its way is ignored. Repeatable and, by the fence, reorderable.
-- include finish
-- No write is on its way for so long.
local FENCE_STANDS_MS = 3600000
local at, fence, on, dea, before = ARGV[1], ARGV[2] == '1', ARGV[3], ARGV[4], ARGV[5]
local digest, running = ARGV[8], ARGV[9]
-- Finished already: this is a repeat whose answer was lost, and newer heartbeats may have been stored since, without a fence.
-- Or a newer one has begun: it knows these droplets from the list, and writes them all.
local list = digest ~= '' and unfinished(KEYS[2], at)
if digest ~= '' and not list then
  return 0
end
local changed, arg = 0, 10
local function changes(key, due, id)
  redis.call('HINCRBY', key, 'rev', 1)
  redis.call('ZADD', due, at, id)
  if ARGV[7] ~= '' then
    redis.call('HSET', key, 'trace', at .. ' ' .. ARGV[7])
  end
end
local function is_count(text)
  return string.find(text, '^%d+$') and #text < 16
end
for k = digest == '' and 1 or 5, #KEYS, 3 do
  local key, index, due = KEYS[k], KEYS[k + 1], KEYS[k + 2]
  local id, n = ARGV[arg], tonumber(ARGV[arg + 1])
  arg = arg + 2
  local stored = redis.pcall('HGETALL', key)
  local unreadable = stored.err ~= nil
  local known, fenced = {}, nil
  for f = 1, #stored, 2 do
    local field = stored[f]
    if string.sub(field, 1, 9) == 'instance:' then
      known[field] = stored[f + 1]
    elseif field == 'fence:' .. dea then
      fenced = tonumber(stored[f + 1])
    elseif field == 'rev' and not is_count(stored[f + 1]) then
      unreadable = true
    end
  end
  if unreadable then
    redis.call('HSET', index, id, '')
    redis.call('ZADD', due, at, id)
  elseif not fenced or tonumber(at) >= fenced then
    local set, listed = {}, {}
    for i = arg, arg + 2 * n - 1, 2 do
      local field, words = 'instance:' .. ARGV[i], ARGV[i + 1]
      local old = known[field]
      listed[field] = true
      local value = words .. ' first ' .. (old and string.match(old, ' first (%d+)') or at)
      if value ~= old then
        set[#set + 1] = field
        set[#set + 1] = value
      end
    end
    for field, old in pairs(known) do
      if not listed[field] and string.find(old, on, 1, true) and not string.find(old, ' last %d+$') then
        set[#set + 1] = field
        set[#set + 1] = old .. ' last ' .. (before ~= '' and before or at)
      end
    end
    if fence then
      redis.call('HSET', key, 'fence:' .. dea, at)
    elseif fenced and tonumber(at) - fenced > FENCE_STANDS_MS then
      redis.call('HDEL', key, 'fence:' .. dea)
    end
    -- A record that there was only a fence for would have no revision and no place in the index.
    if #set > 0 or (fence and #stored == 0) then
      if #stored == 0 then
        redis.call('HSET', key, 'seen', at)
        redis.call('HSET', index, id, '')
      end
      for f = 1, #set, 2 do
        redis.call('HSET', key, set[f], set[f + 1])
      end
      changes(key, due, id)
      changed = changed + 1
    elseif ARGV[6] == '1' and #stored > 0 then
      -- Also a change of the record: it says the same, but of a DEA that is there again.
      changes(key, due, id)
    end
  end
  arg = arg + 2 * n
end
if list then
  finish(list, KEYS[1], KEYS[2], KEYS[3], KEYS[4], at, dea, digest, running, '', '')
end
return changed
