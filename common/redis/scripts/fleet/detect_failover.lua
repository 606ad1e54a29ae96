-- The servers of a cluster as one process sees them. A replication id that nobody has seen yet is a master that was a
-- replica, or was started anew: the latest writes of its slots may be lost, while those of other slots are not. And a
-- replica that nobody has seen yet may have been a master that did not know that it was replaced: what it took is lost.
-- KEYS  1 lineage hash, 2 listening hash, 3 digest hash, 4 state of the sync
-- ARGV  what is seen: the masters' replication ids, 'replica <id>', 'master <id>': a master that will be a replica is a new one
-- Returns 1 if one of them is new: then what is known is told to be in doubt. The count of epoch makes the sync write
-- everything anew, and ingest every DEA's whole list; until a pass has, and until ingestors have listened for long
-- enough, the holds are on that are for not knowing.
local MANY = 256
local new, seen = false, {}
for i = 1, #ARGV do
  local master = string.match(ARGV[i], '^master (.*)')
  if master then
    redis.call('HDEL', KEYS[1], 'of:replica ' .. master)
  else
    seen[#seen + 1] = 'of:' .. ARGV[i]
  end
end
for i = 1, #seen do
  new = new or redis.call('HEXISTS', KEYS[1], seen[i]) == 0
end
if not new then
  return 0
end
local epoch = redis.call('HINCRBY', KEYS[1], 'data_epoch', 1)
if redis.call('HLEN', KEYS[1]) > MANY then
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'data_epoch', epoch)
end
for i = 1, #seen do
  redis.call('HSET', KEYS[1], seen[i], '')
end
redis.call('HDEL', KEYS[2], 'since', 'until')
redis.call('DEL', KEYS[3])
-- As if somebody had asked for a pass since the latest began.
local begun = redis.call('HGET', KEYS[4], 'begun')
if begun then
  redis.call('HSET', KEYS[4], 'wanted', begun)
end
return 1
