-- Ends what begin_heartbeat began, once all droplets are written: part of finish_heartbeat.lua and of store_heartbeat_droplets.lua.
--
-- The digest stays away if data may have been lost since begin_heartbeat: the next heartbeat is then stored whole. 'gone' keeps
-- the droplets that the DEA ceased to list, for as long as their last write may turn out to be lost: a master that is cut
-- off takes writes for cluster-node-timeout (15 s), and its fall takes some seconds to be noticed.
local GONE_KEPT_MS = 120000
-- The list of the heartbeat that was begun at that time; nothing if it is finished, or a newer one has begun.
local function unfinished(list_key, at)
  return redis.call('HGET', list_key, 'at') == at and redis.call('HGET', list_key, 'next')
end
-- The unfinished list, then KEYS and ARGV of finish_heartbeat.lua
local function finish(list, digests, list_key, running_counts, lineage, at, dea, digest, running, epoch, left_now)
  redis.call('HSET', list_key, 'list', list)
  redis.call('HDEL', list_key, 'next', 'writing')
  if epoch ~= '' then
    local left = redis.call('HGET', list_key, 'gone') or ''
    if left ~= '' or left_now ~= '' then
      local named, gone = {}, {}
      for line in string.gmatch(list, '[^\n]+') do
        named[string.sub(line, 9)] = true
      end
      for droplet in string.gmatch(left_now, '[^\n]+') do
        named[droplet] = true
        gone[#gone + 1] = at .. ' ' .. droplet .. '\n'
      end
      for since, droplet in string.gmatch(left, '(%d+) ([^\n]+)\n') do
        if not named[droplet] and tonumber(at) - tonumber(since) <= GONE_KEPT_MS then
          gone[#gone + 1] = since .. ' ' .. droplet .. '\n'
        end
      end
      redis.call('HSET', list_key, 'gone', table.concat(gone))
    end
    redis.call('HSET', list_key, 'data_epoch', epoch)
  end
  if (redis.call('HGET', lineage, 'data_epoch') or '') == epoch then
    redis.call('HSET', digests, dea, digest)
  end
  redis.call('HSET', running_counts, dea, running)
end
