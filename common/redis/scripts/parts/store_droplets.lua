-- include is_unwritable
-- Writes the droplets of a heartbeat: shared by store_heartbeat_droplets.lua and store_whole_heartbeat.lua, which list the KEYS
-- and ARGV. `first_key` and `first_arg` are the places of the first droplet. Returns how many droplets changed.

-- No write is delayed for longer than this.
local FENCE_STANDS_MS = 3600000
local function store_droplets(first_key, first_arg)
  local at, has_fence, on_dea, dea, previous = ARGV[1], ARGV[2] == '1', ARGV[3], ARGV[4], ARGV[5]
  local is_due, traceparent = ARGV[6] == '1', ARGV[7]
  local changed, arg = 0, first_arg
  local function touch(key, due, id)
    redis.call('HINCRBY', key, 'rev', 1)
    redis.call('ZADD', due, at, id)
    if traceparent ~= '' then
      redis.call('HSET', key, 'trace', at .. ' ' .. traceparent)
    end
  end
  for k = first_key, #KEYS, 3 do
    local key, index, due = KEYS[k], KEYS[k + 1], KEYS[k + 2]
    local id, n = ARGV[arg], tonumber(ARGV[arg + 1])
    arg = arg + 2
    local stored = redis.pcall('HGETALL', key)
    local known, fenced, rev = {}, nil, nil
    for f = 1, #stored, 2 do
      local field = stored[f]
      if string.sub(field, 1, 9) == 'instance:' then
        known[field] = stored[f + 1]
      elseif field == 'fence:' .. dea then
        fenced = tonumber(stored[f + 1])
      elseif field == 'rev' then
        rev = stored[f + 1]
      end
    end
    if is_unwritable(stored, rev) then
      redis.call('HSET', index, id, '')
      redis.call('ZADD', due, at, id)
    elseif not fenced or tonumber(at) >= fenced then
      local set, listed = {}, {}
      for i = arg, arg + 2 * n - 1, 2 do
        local field, encoded = 'instance:' .. ARGV[i], ARGV[i + 1]
        local old = known[field]
        listed[field] = true
        local value = encoded .. ' first ' .. (old and string.match(old, ' first (%d+)') or at)
        if value ~= old then
          set[#set + 1] = field
          set[#set + 1] = value
        end
      end
      for field, old in pairs(known) do
        if not listed[field] and string.find(old, on_dea, 1, true) and not string.find(old, ' last %d+$') then
          set[#set + 1] = field
          set[#set + 1] = old .. ' last ' .. (previous ~= '' and previous or at)
        end
      end
      if has_fence then
        redis.call('HSET', key, 'fence:' .. dea, at)
      elseif fenced and tonumber(at) - fenced > FENCE_STANDS_MS then
        redis.call('HDEL', key, 'fence:' .. dea)
      end
      -- A record created only for its fence also gets a revision and a place in the index.
      if #set > 0 or (has_fence and #stored == 0) then
        if #stored == 0 then
          redis.call('HSET', key, 'seen', at)
          redis.call('HSET', index, id, '')
        end
        for f = 1, #set, 2 do
          redis.call('HSET', key, set[f], set[f + 1])
        end
        touch(key, due, id)
        changed = changed + 1
      elseif is_due and #stored > 0 then
        -- The record is the same, but its DEA is back: a decision made without the DEA must not be stored.
        touch(key, due, id)
      end
    end
    arg = arg + 2 * n
  end
  return changed
end
