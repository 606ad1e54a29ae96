-- Stores the watermark of an ingestor that is subscribed at NATS and reaches Redis.
-- KEYS
--   1 listening hash
--   2 watermarks zset
-- ARGV
--   1 now (ms)
--   2 ingestor
--   3 longest silence of an ingestor that is no gap (ms)
--   4 longest time between two watermarks of all ingestors within which no heartbeat can be lost (ms)
--   5 watermark: every heartbeat delivered to this ingestor before this time is stored (ms)
--   6 '1' if this ingestor may have lost a heartbeat, or ''
--   then each ingestor that NATS reports gone: it is removed
-- Returns {since when ingestors have listened without a gap (ms), 1 if heartbeats sent before now may be lost or nil,
--   each ingestor that was removed}.
-- Guarantees
--   A gap begins `since` anew. It is a silence of all ingestors, or of one that never signed off, also if it is gone now: it may
--   have gone only at the end of that silence, and what NATS delivered to it meanwhile was not stored.
--   Heartbeats may be lost after a gap, when an ingestor is gone, when this one reports it, and when no ingestor listened for
--   however short a time: none is in the zset when this one joins, or none published in time.
--   A time that this program did not write (no whole number, or in the future) counts as none.
-- include is_count
local now, gap = tonumber(ARGV[1]), tonumber(ARGV[3])
local function time(text)
  return text and is_count(text) and tonumber(text) <= now + gap and tonumber(text) or nil
end
local times = redis.call('HMGET', KEYS[1], 'since', 'until')
local since, last = time(times[1]), time(times[2])
local function is_silent(watermark)
  return watermark and now - tonumber(watermark) > gap
end
local has_gap = is_silent(redis.call('ZSCORE', KEYS[2], ARGV[2]))
local removed = {}
for a = 7, #ARGV do
  local watermark = redis.call('ZSCORE', KEYS[2], ARGV[a])
  if watermark then
    has_gap = has_gap or is_silent(watermark)
    redis.call('ZREM', KEYS[2], ARGV[a])
    removed[#removed + 1] = ARGV[a]
  end
end
local is_alone = redis.call('ZCARD', KEYS[2]) == 0
local may_be_lost = ARGV[6] == '1' or is_alone or #removed > 0 or not last or now - last > tonumber(ARGV[4])
if not since or not last or now - last > gap or has_gap then
  redis.call('HSET', KEYS[1], 'since', ARGV[1])
  may_be_lost = true
end
if may_be_lost then
  redis.call('HSET', KEYS[1], 'loss_possible_until', ARGV[1])
end
if not last or now > last then
  redis.call('HSET', KEYS[1], 'until', ARGV[1])
end
redis.call('ZADD', KEYS[2], ARGV[5], ARGV[2])
return { redis.call('HGET', KEYS[1], 'since'), may_be_lost and 1, unpack(removed) }
