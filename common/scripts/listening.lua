-- An ingestor says that it is subscribed and reaches Redis.
-- KEYS  1 listening hash, 2 ingestors zset
-- ARGV  1 now (ms), 2 ingestor, 3 longest gap (ms), 4 longest time between two words (ms)
-- Returns {since when there has been listening without a gap (ms), '1' if what DEAs said before this word may be lost:
-- after a gap, or when nobody listened for however short a time: no other ingestor is on the list that this one joins,
-- or none had a word in time}.
-- A gap is no word of any ingestor, or a silence of one that never signed off: what NATS gave it
-- meanwhile was not stored. Times that nobody of ours wrote (no whole number, or of a day to come) count as none.
local now, gap = tonumber(ARGV[1]), tonumber(ARGV[3])
local function time(text)
  return text and string.find(text, '^%d+$') and tonumber(text) <= now + gap and tonumber(text) or nil
end
local times = redis.call('HMGET', KEYS[1], 'since', 'until')
local since, last = time(times[1]), time(times[2])
local own = redis.call('ZSCORE', KEYS[2], ARGV[2])
local alone = redis.call('ZCARD', KEYS[2]) == 0
local missed = alone or not last or now - last > tonumber(ARGV[4])
if not since or not last or now - last > gap or (own and now - tonumber(own) > gap) then
  redis.call('HSET', KEYS[1], 'since', ARGV[1])
  missed = true
end
if not last or now > last then
  redis.call('HSET', KEYS[1], 'until', ARGV[1])
end
redis.call('ZADD', KEYS[2], ARGV[1], ARGV[2])
return { redis.call('HGET', KEYS[1], 'since'), missed and '1' or '' }
