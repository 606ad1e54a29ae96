-- Begins a pass of the bulk sync.
-- KEYS
--   1 state of the sync
-- ARGV
--   1 now (ms)
--   2 owner: the process that does the pass
-- Returns the number of the pass.
-- Guarantees
--   The number is larger than all before it, also after Redis lost its data: it is a time.
local number = tonumber(ARGV[1])
-- A number that somebody edited counts as missing.
local last = tonumber(redis.call('HGET', KEYS[1], 'pass') or '0') or 0
if last >= number then
  number = last + 1
end
local text = string.format('%.0f', number)
redis.call('HSET', KEYS[1], 'pass', text, 'begun', ARGV[1], 'owner', ARGV[2])
return text
