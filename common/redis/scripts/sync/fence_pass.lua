-- From here on only this pass of the sync writes in this slot. An older one that was stopped or cut off, and wakes
-- up with its writes on the way, finds another number and writes nothing.
-- KEYS  1 pass of the slot
-- ARGV  1 the pass's number
-- Returns 1, or 0 if a newer pass is there.
local there = redis.call('GET', KEYS[1])
if there and tonumber(there) > tonumber(ARGV[1]) then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1])
return 1
