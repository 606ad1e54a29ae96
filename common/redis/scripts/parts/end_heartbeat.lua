-- Ends what begin_heartbeat.lua began: shared by finish_heartbeat.lua and store_whole_heartbeat.lua.
--
-- 'delisted' keeps the droplets that the DEA ceased to list: the latest heartbeat may only have left them out, and in a cluster their
-- last write may turn out to be lost. A master that is cut off takes writes for cluster-node-timeout (15 s), and its fall takes some
-- seconds to be noticed.
local DELISTED_KEPT_MS = 120000

-- The list of the heartbeat begun at that time; nothing if it has ended or a newer one has begun.
local function unfinished_list(list_key, at)
  return redis.call('HGET', list_key, 'at') == at and redis.call('HGET', list_key, 'next')
end

local function keep_delisted(list_key, list, at, delisted_now)
  local stored = redis.call('HGET', list_key, 'delisted') or ''
  if stored == '' and delisted_now == '' then
    return
  end
  local named, delisted = {}, {}
  for line in string.gmatch(list, '[^\n]+') do
    named[string.sub(line, 9)] = true
  end
  for droplet in string.gmatch(delisted_now, '[^\n]+') do
    named[droplet] = true
    delisted[#delisted + 1] = at .. ' ' .. droplet .. '\n'
  end
  for since, droplet in string.gmatch(stored, '(%d+) ([^\n]+)\n') do
    if not named[droplet] and tonumber(at) - tonumber(since) <= DELISTED_KEPT_MS then
      delisted[#delisted + 1] = since .. ' ' .. droplet .. '\n'
    end
  end
  redis.call('HSET', list_key, 'delisted', table.concat(delisted))
end

-- The list without the fingerprints of these droplets (a line each), so that their instances do not count as listed before.
local function without_fingerprints(list, droplets)
  local named = {}
  for droplet in string.gmatch(droplets, '[^\n]+') do
    named[droplet] = true
  end
  return (string.gsub(list, '([^\n]+)\n', function(line)
    local droplet = string.sub(line, 9)
    return named[droplet] and '        ' .. droplet .. '\n' or nil
  end))
end

-- keys: digests, list, running_counts, failover, wanted_counts
-- heartbeat: list (from unfinished_list), at, dea, digest ('': something was rejected), running; wanted: how many instances it
-- lists of droplets of which the DEA holds a wanted slot; unwanted: the other droplets, a line each (stored as '*' if it holds no
-- wanted slot at all: see ALL_DROPLETS in begin-heartbeat.ts); misfits: droplets whose instances the record did not take, a line
-- each, or ''; delisted: droplets that it ceased to list; data_epoch: '' outside a cluster
local function end_heartbeat(keys, heartbeat)
  local list = heartbeat.misfits == '' and heartbeat.list or without_fingerprints(heartbeat.list, heartbeat.misfits)
  redis.call('HSET', keys.list, 'list', list)
  redis.call('HDEL', keys.list, 'next', 'unfinished', 'unwanted', 'released')
  if heartbeat.unwanted ~= '' then
    local are_all = tonumber(heartbeat.wanted) == 0
    redis.call('HSET', keys.list, 'unwanted', are_all and '*' or heartbeat.unwanted)
  end
  keep_delisted(keys.list, heartbeat.list, heartbeat.at, heartbeat.delisted)
  if heartbeat.data_epoch ~= '' then
    redis.call('HSET', keys.list, 'data_epoch', heartbeat.data_epoch)
  end
  -- Without a digest the next heartbeat is stored whole: so it is if data may have been lost since this one began. With an empty
  -- one, too: what was rejected is then tried again.
  -- An empty one that was written since this heartbeat began stays, as the next one must be stored whole (expire-digests.ts).
  local has_expired = redis.call('HGET', keys.digests, heartbeat.dea) == ''
  if not has_expired and (redis.call('HGET', keys.failover, 'data_epoch') or '') == heartbeat.data_epoch then
    redis.call('HSET', keys.digests, heartbeat.dea, heartbeat.digest)
  end
  redis.call('HSET', keys.running_counts, heartbeat.dea, heartbeat.running)
  redis.call('HSET', keys.wanted_counts, heartbeat.dea, heartbeat.wanted)
end
