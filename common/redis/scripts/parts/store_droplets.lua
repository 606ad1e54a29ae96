-- include is_unwritable
-- include accept_instances
-- Writes the droplets of a heartbeat: shared by store_heartbeat_droplets.lua and store_whole_heartbeat.lua, which list the KEYS
-- and ARGV. `first_key` and `first_arg` are the places of the first droplet. Returns the list that they
-- describe, and how many instances the DEA has of droplets of which it holds a wanted slot.

local function has_instance_on(on_dea, known)
  for _, value in pairs(known) do
    if string.find(value, on_dea, 1, true) then
      return true
    end
  end
  return false
end

-- Whether the record has this instance as it is listed and nothing else but what every record has, so that nothing is to be written;
-- and whether the instance holds a wanted slot. Verification finds most records so, and `write` takes three times as long.
local function read_plain(key, guid, encoded)
  local fields = redis.pcall('HMGET', key, 'rev', 'seen', 'desired', 'instance:' .. guid)
  if is_unwritable(fields, fields[1]) then
    return false
  end
  local rev, seen, desired, value = unpack(fields)
  local listed = encoded .. ' first '
  local is_plain = rev and seen and desired and value and string.sub(value, 1, #listed) == listed
    and string.find(value, '^%d+$', #listed + 1) and redis.call('HLEN', key) == 4
  if not is_plain then
    return false
  end
  local index, state, _, version = string.match(encoded, ENTRY)
  return true, ACTIVE[state] and is_wanted(index, version, desired, nil)
end

-- No write is delayed for longer than this.
local FENCE_STANDS_MS = 3600000
local function store_droplets(first_key, first_arg)
  local at, has_fence, on_dea, dea, previous = ARGV[1], ARGV[2] == '1', ARGV[3], ARGV[4], ARGV[5]
  local is_due, is_verified, traceparent = ARGV[6] == '1', ARGV[6] == 'verified', ARGV[7]
  local max_droplets, granted, rebuilt_at = tonumber(ARGV[8]), ARGV[9], ARGV[10]
  local own = string.match(on_dea, '^ on (%S+) ')
  local changed, whole_again, reindexed, arg = 0, {}, 0, first_arg
  local wanted, unwanted, rejected, lost = 0, {}, {}, {}
  local function reject(id, guid, reason, owner, last)
    rejected[#rejected + 1] = { id, guid, reason, owner, last }
  end
  local function touch(key, due, id)
    redis.call('HINCRBY', key, 'rev', 1)
    redis.call('ZADD', due, at, id)
    if traceparent ~= '' then
      redis.call('HSET', key, 'trace', at .. ' ' .. traceparent)
    end
  end
  local function verify_index(index, id)
    if redis.call('HSETNX', index, id, '') == 1 then
      reindexed = reindexed + 1
    end
  end
  -- Writes the droplet whose instances begin at `arg`. Returns whether the DEA holds a wanted slot of it.
  local function write(key, index, due, id, n, must_exist)
    local stored = redis.pcall('HGETALL', key)
    local known, exits, count, fenced, rev, seen, desired, gone = {}, {}, 0, nil, nil, nil, nil, nil
    for f = 1, #stored, 2 do
      local field = stored[f]
      if string.sub(field, 1, 9) == 'instance:' then
        known[field] = stored[f + 1]
        count = count + 1
      elseif string.sub(field, 1, 5) == 'exit:' then
        exits[string.sub(field, 6)] = true
      elseif field == 'fence:' .. dea then
        fenced = tonumber(stored[f + 1])
      elseif field == 'rev' then
        rev = stored[f + 1]
      elseif field == 'seen' then
        seen = stored[f + 1]
      elseif field == 'desired' then
        desired = stored[f + 1]
      elseif field == 'gone' then
        gone = stored[f + 1]
      end
    end
    local is_incomplete = #stored > 0 and not (rev and seen)
    -- Whether the record, or an instance in it, is missing.
    local is_missing = #stored == 0 and n > 0
    local holds_slot = false
    -- A record that is lost leaves its index entry, as both are removed together.
    local is_lost = is_missing and rebuilt_at == '' and (must_exist or redis.call('HEXISTS', index, id) == 1)
    if is_lost then
      lost[#lost + 1] = id
    elseif is_unwritable(stored, rev) then
      redis.call('HSET', index, id, '')
      redis.call('ZADD', due, at, id)
    elseif is_missing and redis.call('HLEN', index) >= max_droplets and redis.call('HEXISTS', index, id) == 0 then
      reject(id, n, 'too_many_droplets', '', '')
    elseif not fenced or tonumber(at) >= fenced then
      local set, listed, dropped = {}, {}, {}
      local misfits, first_misfit, misfit_owner, surplus, surplus_ended = 0, nil, nil, 0, 0
      local max_count, slots, spare, ended
      for i = arg, arg + 2 * n - 1, 2 do
        listed['instance:' .. ARGV[i]] = true
      end
      -- Whether an instance that the record does not have finds room.
      local function has_room(encoded)
        if not max_count then
          slots = holders_of(desired, gone, known, exits)
          max_count = SPARE_INSTANCES + 3 * (slots and slots.count or 0)
        end
        if count < max_count then
          return true
        end
        if not spare then
          spare, ended = spare_fields(known, listed, slots)
        end
        local new_index, state, _, version = string.match(encoded, ENTRY)
        local fills_slot = ACTIVE[state] and slots and version == slots.version
          and tonumber(new_index) < slots.count and not slots.field[new_index]
        if #spare == 0 or not ACTIVE[state] or (ended == 0 and not fills_slot) then
          surplus = surplus + 1
          surplus_ended = surplus_ended + (ACTIVE[state] and 0 or 1)
          return false
        end
        if fills_slot then
          slots.field[new_index] = ''
        end
        local field = table.remove(spare)
        ended = math.max(0, ended - 1)
        dropped[#dropped + 1] = field
        known[field] = nil
        count = count - 1
        return true
      end
      for i = arg, arg + 2 * n - 1, 2 do
        local field, encoded = 'instance:' .. ARGV[i], ARGV[i + 1]
        local old = known[field]
        local value = encoded .. ' first ' .. (old and string.match(old, ' first (%d+)') or at)
        if value ~= old then
          local reason, owner
          if old then
            reason, owner = refusal(old, encoded, own, id, ARGV[i], granted, must_exist)
            if owner ~= own and claims_surplus(encoded, field, desired, gone, known, exits) then
              reason = 'identity'
            elseif reason == 'identity_of_other' and not fills_slot_alone(field, desired, gone, known, exits) then
              reason = 'owner'
              if not string.find(old, ' contested ', 1, true) and not string.find(old, ' last %d+$') then
                known[field] = old .. ' contested ' .. at
                set[#set + 1] = field
                set[#set + 1] = known[field]
              end
            end
          elseif not has_room(encoded) then
            reason = 'surplus'
          end
          if reason == 'owner' or reason == 'identity_of_other' then
            reject(id, ARGV[i], reason, owner, string.match(old, ' last (%d+)$') or '')
          elseif reason == 'identity' then
            misfits, first_misfit, misfit_owner = misfits + 1, first_misfit or ARGV[i], misfit_owner or owner
          elseif not reason then
            set[#set + 1] = field
            set[#set + 1] = value
            known[field] = value
            count = count + (old and 0 or 1)
            is_missing = is_missing or not old
          end
        end
      end
      if misfits > 0 then
        reject(id, first_misfit, 'identity', misfit_owner, misfits)
      end
      if surplus > surplus_ended then
        reject(id, surplus - surplus_ended, 'too_many_instances', '', '')
      end
      if surplus_ended > 0 then
        reject(id, surplus_ended, 'too_many_ended', '', '')
      end
      for field, old in pairs(known) do
        if not listed[field] and string.find(old, on_dea, 1, true) and not string.find(old, ' last %d+$') then
          set[#set + 1] = field
          set[#set + 1] = old .. ' last ' .. (previous ~= '' and previous or at)
        end
      end
      local final = n > 0 and holders_of(desired, gone, known, exits)
      for _, field in pairs(final and final.field or {}) do
        holds_slot = holds_slot or string.find(known[field], on_dea, 1, true) ~= nil
      end
      if has_fence then
        redis.call('HSET', key, 'fence:' .. dea, at)
      elseif fenced and tonumber(at) - fenced > FENCE_STANDS_MS then
        redis.call('HDEL', key, 'fence:' .. dea)
      end
      -- A record created only for its fence also gets a revision and a place in the index.
      if #set > 0 or (has_fence and #stored == 0) or is_incomplete then
        if not seen then
          redis.call('HSET', key, 'seen', rebuilt_at ~= '' and rebuilt_at or at)
          if rebuilt_at ~= '' then
            redis.call('HSET', key, 'rebuilt', rebuilt_at)
          end
          redis.call('HSET', index, id, '')
        end
        if is_incomplete or (is_verified and is_missing) then
          whole_again[#whole_again + 1] = id
        end
        for f = 1, #dropped do
          redis.call('HDEL', key, dropped[f])
        end
        for f = 1, #set, 2 do
          redis.call('HSET', key, set[f], set[f + 1])
        end
        touch(key, due, id)
        changed = changed + 1
      elseif is_due and #stored > 0 and has_instance_on(on_dea, known) then
        -- The record is the same, but its DEA is back: a decision made without the DEA must not be stored.
        touch(key, due, id)
      end
      if is_verified and seen then
        verify_index(index, id)
      end
    end
    return holds_slot
  end
  for k = first_key, #KEYS, 3 do
    local key, index, due = KEYS[k], KEYS[k + 1], KEYS[k + 2]
    local id, n, must_exist = ARGV[arg], tonumber(ARGV[arg + 1]), ARGV[arg + 2] == '1'
    arg = arg + 3
    local is_plain, holds_slot
    if is_verified and n == 1 and not has_fence then
      is_plain, holds_slot = read_plain(key, ARGV[arg], ARGV[arg + 1])
    end
    if is_plain then
      verify_index(index, id)
    else
      holds_slot = write(key, index, due, id, n, must_exist)
    end
    if holds_slot then
      wanted = wanted + n
    elseif n > 0 then
      unwanted[#unwanted + 1] = id
    end
    arg = arg + 2 * n
  end
  return { changed, whole_again, reindexed, unwanted, rejected, lost }, wanted
end
