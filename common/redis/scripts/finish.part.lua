-- Ends what dea_begin began, once all droplets are written: part of dea_finish.lua and of droplets_heard.lua.
--
-- The digest stays away if data may have been lost since dea_begin: the next heartbeat is then stored whole. 'gone' keeps
-- the droplets that the DEA ceased to list, for as long as their last write may turn out to be lost: a master that is cut
-- off takes writes for cluster-node-timeout (15 s), and its fall takes some seconds to be noticed.
local GONE_KEPT_MS = 120000
-- The list of the heartbeat that was begun at that time; nothing if it is finished, or a newer one has begun.
local function unfinished(list_key, at)
  return redis.call('HGET', list_key, 'at') == at and redis.call('HGET', list_key, 'next')
end
-- The unfinished list, then KEYS and ARGV of dea_finish.lua
local function finish(list, digests, list_key, running_counts, lineage, at, dea, digest, running, losses, left_now)
  redis.call('HSET', list_key, 'list', list)
  redis.call('HDEL', list_key, 'next', 'writing')
  if losses ~= '' then
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
    redis.call('HSET', list_key, 'losses', losses)
  end
  if (redis.call('HGET', lineage, 'losses') or '') == losses then
    redis.call('HSET', digests, dea, digest)
  end
  redis.call('HSET', running_counts, dea, running)
end
