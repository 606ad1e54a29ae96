-- An ingestor says that it is subscribed and reaches Redis.
-- KEYS  1 listening hash, 2 ingestors zset
-- ARGV  1 now (ms), 2 ingestor, 3 longest gap (ms)
-- Returns since when there has been listening without a gap (ms).
-- A gap is no word of any ingestor, or a silence of one that never signed off: what NATS gave it
-- meanwhile was not stored.
local now, gap = tonumber(ARGV[1]), tonumber(ARGV[3])
local times = redis.call('HMGET', KEYS[1], 'since', 'until')
local own = redis.call('ZSCORE', KEYS[2], ARGV[2])
if not times[1] or now - tonumber(times[2]) > gap or (own and now - tonumber(own) > gap) then
  redis.call('HSET', KEYS[1], 'since', ARGV[1])
end
if not times[2] or now > tonumber(times[2]) then
  redis.call('HSET', KEYS[1], 'until', ARGV[1])
end
redis.call('ZADD', KEYS[2], ARGV[1], ARGV[2])
return redis.call('HGET', KEYS[1], 'since')
