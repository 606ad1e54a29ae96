#!lua flags=no-writes
-- Reads the records of droplets, and the latest heartbeats of the DEAs that their instances are on, in one command. Not for a
-- cluster, as the keys are of several slices.
-- KEYS
--   1 last heartbeat zset
--   2 previous heartbeat zset
--   then for each droplet:
--   1 droplet hash
-- Returns a list of two:
--   1 the records, as read_droplets.lua returns them
--   2 for each DEA that is known: DEA, last heartbeat (ms), previous heartbeat (ms, or nil). The previous one is read only
--     for DEAs of a droplet with several instances, or with one that they list no more.
-- include read_record
local function decode(encoded)
  return (string.gsub(encoded, '%%(%x%x)', function(digits)
    return string.char(tonumber(digits, 16))
  end))
end
-- DEA -> whether one of its droplets has several instances, or one that it lists no more
local deas = {}
local function note_deas(fields)
  local only
  for f = 1, #fields, 2 do
    local encoded = string.sub(fields[f], 1, 9) == 'instance:' and string.match(fields[f + 1], ' on (%S+) ')
    if encoded then
      local dea = decode(encoded)
      if string.find(fields[f + 1], ' last %d+$') then
        only, deas[dea] = only or dea, true
      elseif only == nil then
        only = dea
        deas[dea] = deas[dea] or false
      else
        deas[only], deas[dea] = true, true
      end
    end
  end
end
local records = {}
for k = 3, #KEYS do
  local record, fields = read_record(KEYS[k])
  records[#records + 1] = record
  if fields then
    note_deas(fields)
  end
end
local heartbeats = {}
for dea, has_several in pairs(deas) do
  local last = redis.call('ZSCORE', KEYS[1], dea)
  if last then
    heartbeats[#heartbeats + 1] = dea
    heartbeats[#heartbeats + 1] = last
    heartbeats[#heartbeats + 1] = has_several and redis.call('ZSCORE', KEYS[2], dea)
  end
end
return { records, heartbeats }
