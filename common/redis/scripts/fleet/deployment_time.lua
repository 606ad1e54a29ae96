-- The one clock of the deployment: the time of the Redis node that has the key, kept from going back.
-- KEYS
--   1 clock hash: last (ms), ahead (ms)
-- ARGV
--   1 time that the caller measured before (ms), or '' for a first call
-- Returns the time in ms, with three decimals.
-- Guarantees
--   A step back of more than a second, because Redis moved to a host whose clock is behind or its clock was set back, is added to
--   every later time. Otherwise stored heartbeats would lie in the future, and newer ones would count as older.
--   What somebody edited so that it is no time counts as missing.
local SLACK_MS = 1000
-- No clock of a Redis is wrong by more than a year: such a time was edited.
local MAX_AHEAD_MS = 31536000000
-- A time (ms) as this script writes it; 0 for anything else, which somebody edited.
local function time_or_zero(text)
  return text and string.find(text, '^%d+%.?%d*$') and #text < 20 and tonumber(text) or 0
end
local time = redis.call('TIME')
local ms = tonumber(time[1]) * 1000 + tonumber(time[2]) / 1000
local stored = redis.pcall('HMGET', KEYS[1], 'last', 'ahead')
if stored.err then
  -- Another type of key: somebody edited it.
  redis.call('DEL', KEYS[1])
  stored = {}
end
local ahead, known = time_or_zero(stored[2]), math.max(time_or_zero(stored[1]), tonumber(ARGV[1]) or 0)
if time_or_zero(stored[1]) > ms + MAX_AHEAD_MS then
  ahead, known = 0, tonumber(ARGV[1]) or 0
end
if ahead > MAX_AHEAD_MS then
  ahead = 0
end
if ms + ahead < known - SLACK_MS then
  ahead = known - ms
  redis.call('HSET', KEYS[1], 'ahead', string.format('%.3f', ahead))
end
local now = string.format('%.3f', ms + ahead)
redis.call('HSET', KEYS[1], 'last', now)
return now
