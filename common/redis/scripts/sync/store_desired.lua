-- Stores the desired state of droplets of one slice, as a bulk page has it.
-- KEYS
--   1 due zset of the slice
--   2 pass that may write in the slice
--   3 decision log of the slice
--   then for each droplet:
--   1 droplet hash
--   2 piece of the index
-- ARGV
--   1 now (ms)
--   2 when the pass began (ms)
--   3 number of the pass
--   4 length of the decision log
--   5 for each droplet two lines: its id; its desired state, encoded ('updated -': without a time), or an empty line if the page lists it but its entry cannot
--     be read
--   6 how many of the droplets, the first ones, must have this desired state: an earlier pass stored the same
--   7 how many, these included, must have a desired state: an earlier pass stored one
--   8 a record of a droplet without a desired state that is older than this (ms) may lose its grace period too early
--   9 '1' if these droplets were lost: their grace period begins anew; or ''
-- Returns a list of three: how many droplets changed; ids of those that must have a desired state and have none, for which
--   nothing is written; ids of those that have it, and whose record or index entry was not as it should be. 'superseded' if another pass may write (see fence_pass.lua): nothing is written then.
-- Guarantees
--   A record that somebody edited so that it cannot be written is left alone and is due, so that the analyzer removes it; the
--   others are written.
--   'version_since' is set when another version becomes the live one. The first pass that lists a droplet sets it, too, if the
--   record is so old that its grace period may end before all DEAs have sent their next heartbeat, and an instance of another
--   version may be renamed until then.
--   Repeatable. An older pass never overwrites a newer one, however late its writes are.
-- include is_unwritable
-- include append_to_log
if redis.call('GET', KEYS[2]) ~= ARGV[3] then
  return 'superseded'
end
local now, begun = ARGV[1], ARGV[2]
local changed, k, n, expected, known = 0, 4, 0, tonumber(ARGV[6]), tonumber(ARGV[7])
local old_record, were_lost = tonumber(ARGV[8]), ARGV[9] == '1'
local lost, repaired = {}, {}
local function log(kind, id, old, new)
  local entry = { atMs = tonumber(now), droplet = id, kind = kind, was = old, is = new }
  append_to_log(KEYS[3], ARGV[4], cjson.encode(entry))
end
local function without_time(encoded)
  return string.match(encoded, '^(.*) updated ')
end
-- An entry without a time has 'updated -'. It gets the time of its last change: now, unless it is as it was.
local function with_time(desired, old)
  local entry = string.match(desired, '^(.*) updated %-$')
  if not entry then
    return desired
  end
  if old and without_time(old) == entry then
    return old
  end
  return entry .. ' updated ' .. string.format('%.0f', math.floor(tonumber(now) / 1000))
end
local function version_of(encoded)
  return string.match(encoded, ' version (%S+) ')
end
local function has_instance_of_another_version(key, version)
  local fields = redis.call('HGETALL', key)
  for f = 1, #fields, 2 do
    if string.sub(fields[f], 1, 9) == 'instance:' and version_of(fields[f + 1]) ~= version then
      return true
    end
  end
  return false
end
local function is_new_version(key, seen, old, new)
  if old then
    return version_of(old) ~= version_of(new)
  end
  return tonumber(now) - (tonumber(seen or '') or tonumber(now)) > old_record
    and has_instance_of_another_version(key, version_of(new))
end
for id, desired in string.gmatch(ARGV[5], '([^\n]*)\n([^\n]*)\n') do
  local key = KEYS[k]
  local old = redis.pcall('HMGET', key, 'seen', 'desired', 'gone', 'updated', 'listed', 'rev')
  local old_desired, old_gone = old[2], old[3]
  local is_new = not old[1] and not old_desired and not old[6]
  local is_incomplete = not is_new and not (old[1] and old[6])
  n = n + 1
  local is_expected = n <= expected
  desired = with_time(desired, old_desired)
  local updated, last_listed = tonumber(old[4] or ''), tonumber(old[5] or '')
  local ends_update = updated and updated < tonumber(begun) and not (last_listed and last_listed > updated)
  -- `listed` without `desired`: it is in the desired state, but its entry could never be read.
  local set_listed = ends_update or (desired == '' and not old_desired and not old[5])
  local differs = desired ~= '' and old_desired ~= desired
  -- It may be a new record that a heartbeat of one DEA has begun after the loss. A record that is lost leaves its index entry.
  local must_exist = n <= known or (is_new and redis.call('HEXISTS', KEYS[k + 1], id) == 1)
  local is_lost = must_exist and not were_lost and not old.err and not old_desired and (desired ~= '' or is_new)
  if is_lost then
    lost[#lost + 1] = id
  else
    if is_new then
      redis.call('HSET', KEYS[k + 1], id, '')
    elseif is_expected and (redis.call('HSETNX', KEYS[k + 1], id, '') == 1 or is_incomplete or differs) then
      repaired[#repaired + 1] = id
    end
  end
  if is_lost then
    -- The caller prepares for it, and calls again.
  elseif is_unwritable(old, old[6]) then
    redis.call('ZADD', KEYS[1], now, id)
  elseif is_new and differs then
    redis.call('HSET', key, 'seen', now, 'desired', desired, 'rev', 1)
    if must_exist then
      redis.call('HSET', key, 'rebuilt', now)
    end
    redis.call('ZADD', KEYS[1], now, id)
    changed = changed + 1
  elseif differs or old_gone or set_listed or is_incomplete then
    if not old[1] or were_lost then
      redis.call('HSET', key, 'seen', now)
      if must_exist then
        redis.call('HSET', key, 'rebuilt', now)
      end
    end
    if differs then
      redis.call('HSET', key, 'desired', desired)
      if is_new_version(key, old[1], old_desired, desired) then
        redis.call('HSET', key, 'version_since', now)
      end
      -- Neither a first desired state nor a change of `updated` alone is logged.
      if old_desired and without_time(old_desired) ~= without_time(desired) then
        log('desired', id, old_desired, desired)
      end
    end
    if old_gone then
      redis.call('HDEL', key, 'gone')
      log('listed', id)
    end
    if set_listed then
      redis.call('HSET', key, 'listed', begun)
    end
    redis.call('HINCRBY', key, 'rev', 1)
    redis.call('ZADD', KEYS[1], now, id)
    changed = changed + 1
  end
  k = k + 2
end
return { changed, lost, repaired }
