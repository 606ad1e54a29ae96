-- A pass of the sync begins.
-- KEYS  1 state of the sync
-- ARGV  1 now (ms), 2 who does it
-- Returns the pass's number: larger than all before it, also if Redis has lost its data since (so it is a time).
local number = tonumber(ARGV[1])
local last = tonumber(redis.call('HGET', KEYS[1], 'pass') or '0')
if last >= number then
  number = last + 1
end
local text = string.format('%.0f', number)
redis.call('HSET', KEYS[1], 'pass', text, 'begun', ARGV[1], 'owner', ARGV[2])
return text
