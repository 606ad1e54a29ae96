-- An ingestor says that it is subscribed and reaches Redis.
-- KEYS  1 listening hash, 2 ingestors zset
-- ARGV  1 now (ms), 2 ingestor, 3 longest gap (ms), 4 longest time between two words (ms), 5 its word: all that DEAs said until
--       then and that it was given is stored (ms), 6 '1' if it may have missed something, then ingestors that NATS says are
--       gone: they are taken off the list
-- Returns {since when there has been listening without a gap (ms), '1' if what DEAs said before this word may be lost:
-- after a gap, when an ingestor is gone, or when nobody listened for however short a time: no other ingestor is on the list
-- that this one joins, or none had a word in time; or if it says so; those that were taken off, ...}.
-- A gap is no word of any ingestor, or a silence of one that never signed off, also if it is gone now: it may have gone only
-- at the end of that silence, and what NATS gave it meanwhile was not stored. Times that nobody of ours wrote (no whole number, or of a day to come) count as none.
local now, gap = tonumber(ARGV[1]), tonumber(ARGV[3])
local function time(text)
  return text and string.find(text, '^%d+$') and tonumber(text) <= now + gap and tonumber(text) or nil
end
local times = redis.call('HMGET', KEYS[1], 'since', 'until')
local since, last = time(times[1]), time(times[2])
local own = redis.call('ZSCORE', KEYS[2], ARGV[2])
local swallowed = own and now - tonumber(own) > gap
local gone = {}
for a = 7, #ARGV do
  local word = redis.call('ZSCORE', KEYS[2], ARGV[a])
  if word then
    swallowed = swallowed or now - tonumber(word) > gap
    redis.call('ZREM', KEYS[2], ARGV[a])
    gone[#gone + 1] = ARGV[a]
  end
end
local alone = redis.call('ZCARD', KEYS[2]) == 0
local missed = ARGV[6] == '1' or alone or #gone > 0 or not last or now - last > tonumber(ARGV[4])
if not since or not last or now - last > gap or swallowed then
  redis.call('HSET', KEYS[1], 'since', ARGV[1])
  missed = true
end
if missed then
  redis.call('HSET', KEYS[1], 'missed', ARGV[1])
end
if not last or now > last then
  redis.call('HSET', KEYS[1], 'until', ARGV[1])
end
redis.call('ZADD', KEYS[2], ARGV[5], ARGV[2])
return { redis.call('HGET', KEYS[1], 'since'), missed and '1' or '', unpack(gone) }
