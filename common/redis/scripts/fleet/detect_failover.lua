-- Compares the servers of a cluster with those seen before, to notice that recent writes of a node may be lost.
-- A replication id that was not seen before is that of a master that was a replica, or was restarted: it may lack the latest
-- writes of its slots, while those of other slots are there. A replica that was not seen before may have been a master that
-- did not know it was replaced: the writes it took are lost.
-- KEYS
--   1 failover hash
--   2 listening hash
--   3 digest hash
--   4 state of the sync
-- ARGV for each server seen:
--   1 the replication id of a master; 'replica <node id>'; or 'master <node id>': if it becomes a replica later, that is a new one
-- Returns 'changed' if one of them is new, else 'unchanged'.
-- Guarantees
--   When one is new the data epoch grows, so the sync writes everything again and ingest stores every heartbeat as a whole.
--   The holds desired_unavailable and actual_not_fresh are on until a pass has done so and ingestors have listened for
--   droplet_lost.
--   Old entries are removed: the hash stays bounded.
local MANY = 256
local is_new, seen = false, {}
for i = 1, #ARGV do
  local master = string.match(ARGV[i], '^master (.*)')
  if master then
    redis.call('HDEL', KEYS[1], 'seen:replica ' .. master)
  else
    seen[#seen + 1] = 'seen:' .. ARGV[i]
  end
end
for i = 1, #seen do
  is_new = is_new or redis.call('HEXISTS', KEYS[1], seen[i]) == 0
end
if not is_new then
  return 'unchanged'
end
local data_epoch = redis.call('HINCRBY', KEYS[1], 'data_epoch', 1)
if redis.call('HLEN', KEYS[1]) > MANY then
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'data_epoch', data_epoch)
end
for i = 1, #seen do
  redis.call('HSET', KEYS[1], seen[i], '')
end
redis.call('HDEL', KEYS[2], 'since', 'until')
redis.call('DEL', KEYS[3])
-- As if a pass had been requested since the latest began.
local begun = redis.call('HGET', KEYS[4], 'begun')
if begun then
  redis.call('HSET', KEYS[4], 'requested', begun)
end
return 'changed'
