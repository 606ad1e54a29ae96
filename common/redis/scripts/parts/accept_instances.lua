-- Which instances of a heartbeat a droplet's record takes (policy: an instance belongs to the DEA that lists it).

-- Instances of a droplet beyond those that are wanted three times over. An app may be scaled up before a pass lists it.
local SPARE_INSTANCES = 500
local LIVE = { STARTING = true, RUNNING = true }
local ACTIVE = { STARTING = true, RUNNING = true, EVACUATING = true }
local ENTRY = '^(%S+) (%S+) on (%S+) version (%S+) since '

-- The slots of a droplet that the controller wants, and the instance that holds each: of several, the one listed first, but none
-- that is evacuated if there is another one: that one has replaced it.
-- known: instances by field, as stored; exits: guids with an exit. Returns nothing if no slot is wanted.
local function holders_of(desired, gone, known, exits)
  local count, version = string.match((not gone and desired) or '', '^STARTED (%d+)x STAGED version (%S+) ')
  if not count then
    return nil
  end
  local slots = { count = tonumber(count), version = version, field = {} }
  local first_of, is_live = {}, {}
  for field, value in pairs(known) do
    local index, state, _, of_version = string.match(value, ENTRY)
    if of_version == version and ACTIVE[state] and not exits[string.sub(field, 10)] then
      local is_listed = not string.find(value, ' last %d+$')
      local first = tonumber(string.match(value, ' first (%d+)'))
      if is_listed and first and tonumber(index) < slots.count then
        local best, live = first_of[index], LIVE[state] or false
        local is_earlier = not best or first < best or (first == best and field < slots.field[index])
        if not best or live and not is_live[index] or is_earlier and live == is_live[index] then
          first_of[index], is_live[index], slots.field[index] = first, live, field
        end
      end
    end
  end
  return slots
end

-- What is dropped from a full record, last entry first: instances that have ended, the oldest first; with `slots`, then those that
-- hold no slot, the youngest first.
local function spare_fields(known, listed, slots)
  local ended, surplus, first_of = {}, {}, {}
  for field, value in pairs(known) do
    local index, state = string.match(value, ENTRY)
    first_of[field] = tonumber(string.match(value, ' first (%d+)')) or 0
    if not listed[field] then
      if not ACTIVE[state] then
        ended[#ended + 1] = field
      elseif slots and slots.field[index] ~= field then
        surplus[#surplus + 1] = field
      end
    end
  end
  table.sort(ended, function(a, b) return first_of[a] > first_of[b] end)
  table.sort(surplus, function(a, b) return first_of[a] < first_of[b] end)
  for _, field in ipairs(ended) do
    surplus[#surplus + 1] = field
  end
  return surplus, #ended
end

-- Whether a slot is wanted; nothing if that is not known.
local function is_wanted(index, version, desired, gone)
  if gone or not desired then
    return nil
  end
  local count, live = string.match(desired, '^STARTED (%d+)x STAGED version (%S+) ')
  return count ~= nil and version == live and tonumber(index) < tonumber(count)
end

-- Whether the record has another instance than that of `field` at the slot.
local function has_other_at(index, version, field, known, exits)
  for other, value in pairs(known) do
    local other_index, state, _, other_version = string.match(value, ENTRY)
    local is_there = other ~= field and other_index == index and other_version == version and ACTIVE[state]
    if is_there and not exits[string.sub(other, 10)] and not string.find(value, ' last %d+$') then
      return true
    end
  end
  return false
end

-- Whether the slot of a stored instance is wanted, as far as is known, and the record has no other instance there.
local function fills_slot_alone(field, desired, gone, known, exits)
  local index, _, _, version = string.match(known[field], ENTRY)
  local wanted = is_wanted(index, version, desired, gone)
  return wanted == nil or (wanted and not has_other_at(index, version, field, known, exits))
end

-- Whether another DEA gives an instance a slot that is not wanted, or where another instance is. The record then keeps what it has: with
-- the claim one of them would be stopped, although the claim may be made up.
local function claims_surplus(encoded, field, desired, gone, known, exits)
  local index, _, _, version = string.match(known[field], ENTRY)
  local new_index, _, _, new_version = string.match(encoded, ENTRY)
  if not index or (new_index == index and new_version == version) then
    return false
  end
  local wanted = is_wanted(new_index, new_version, desired, gone)
  return wanted == false or has_other_at(new_index, new_version, field, known, exits)
end

-- Why a known instance is not overwritten (nil if it is), and the DEA that it belongs to. 'identity': its own DEA would change its index or
-- version. 'owner': it belongs to another one. 'identity_of_other': both. was_listed: its DEA listed it with this index and version
-- before, so somebody edited the record; granted: claims that were granted, as a text of lines `droplet <tab> guid <tab> owner`.
local function refusal(old, encoded, own, id, guid, granted, was_listed)
  local index, _, owner, version = string.match(old, ENTRY)
  if not index then
    return nil
  end
  local new_index, _, _, new_version = string.match(encoded, ENTRY)
  local is_changed = new_index ~= index or new_version ~= version
  if owner == own then
    return is_changed and not was_listed and 'identity' or nil, owner
  end
  if not string.find(granted, '\n' .. id .. '\t' .. guid .. '\t' .. owner .. '\n', 1, true) then
    return is_changed and 'identity_of_other' or 'owner', owner
  end
  return nil, owner
end
