-- The one clock of the deployment: the time of the Redis node that has the key, kept from going back.
-- KEYS
--   1 clock hash: last (ms), ahead (ms)
-- ARGV
--   1 time that the caller measured before (ms), or '' for a first call
-- Returns the time in ms, with three decimals.
-- Guarantees
--   A step back of more than a second, because Redis moved to a host whose clock is behind or its clock was set back, is added to
--   every later time. Otherwise stored heartbeats would lie in the future, and newer ones would count as older.
local SLACK_MS = 1000
local time = redis.call('TIME')
local ms = tonumber(time[1]) * 1000 + tonumber(time[2]) / 1000
local stored = redis.call('HMGET', KEYS[1], 'last', 'ahead')
local ahead = tonumber(stored[2] or '0')
local known = math.max(tonumber(stored[1] or '0'), tonumber(ARGV[1]) or 0)
if ms + ahead < known - SLACK_MS then
  ahead = known - ms
  redis.call('HSET', KEYS[1], 'ahead', string.format('%.3f', ahead))
end
local now = string.format('%.3f', ms + ahead)
redis.call('HSET', KEYS[1], 'last', now)
return now
