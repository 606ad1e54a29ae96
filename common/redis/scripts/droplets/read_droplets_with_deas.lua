#!lua flags=no-writes
-- Reads droplets' records, and when the DEAs of their instances were heard, in one command.
-- KEYS  1 heard zset, 2 previous zset, then the droplets' hashes: of several slices, so only where Redis is no cluster
-- Returns {the records as read_droplets.lua gives them, DEA, heard (ms), previous (ms, or ''), DEA, ...}: the DEAs that
-- are known; the heartbeat before the latest only of DEAs of a droplet with several instances.
local records, several = {}, {}
local function decode(word)
  return (string.gsub(word, '%%(%x%x)', function(digits)
    return string.char(tonumber(digits, 16))
  end))
end
for k = 3, #KEYS do
  local record = redis.pcall('HGETALL', KEYS[k])
  if record.err then
    records[#records + 1] = '!' .. record.err
  else
    records[#records + 1] = table.concat(record, '\n')
    local only
    for f = 1, #record, 2 do
      local word = string.sub(record[f], 1, 9) == 'instance:' and string.match(record[f + 1], ' on (%S+) ')
      if word then
        local dea = decode(word)
        if only == nil then
          only = dea
          several[dea] = several[dea] or false
        else
          several[only], several[dea] = true, true
        end
      end
    end
  end
end
local deas = {}
for dea, with in pairs(several) do
  local heard = redis.call('ZSCORE', KEYS[1], dea)
  if heard then
    deas[#deas + 1] = dea
    deas[#deas + 1] = heard
    deas[#deas + 1] = with and redis.call('ZSCORE', KEYS[2], dea) or ''
  end
end
return { records, deas }
