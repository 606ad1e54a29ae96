-- Ends what dea_begin began, once all droplets are written.
-- KEYS  1 digest hash, 2 the DEA's list hash, 3 instances hash, 4 lineage hash
-- ARGV  1 the time given to dea_begin (ms), 2 DEA, 3 digest, 4 how many running instances it lists, 5 losses of data
--       as dea_begin told, 6 droplets that were written and that it does not list (a line each); '' outside a cluster
-- Returns 1, or 0 if a newer heartbeat has begun since: that one then writes everything itself.
--
-- The digest stays away if data may have been lost since dea_begin: the next heartbeat is then stored whole. 'gone' keeps
-- the droplets that the DEA ceased to list, for as long as their last write may turn out to be lost: a master that is cut
-- off takes writes for cluster-node-timeout (15 s), and its fall takes some seconds to be noticed.
local GONE_KEPT_MS = 120000
local at = ARGV[1]
if redis.call('HGET', KEYS[2], 'at') ~= at then
  return 0
end
local list = redis.call('HGET', KEYS[2], 'next')
if not list then
  return 0
end
redis.call('HSET', KEYS[2], 'list', list)
redis.call('HDEL', KEYS[2], 'next', 'writing')
if ARGV[5] ~= '' then
  local left = redis.call('HGET', KEYS[2], 'gone') or ''
  if left ~= '' or ARGV[6] ~= '' then
    local named, gone = {}, {}
    for line in string.gmatch(list, '[^\n]+') do
      named[string.sub(line, 9)] = true
    end
    for droplet in string.gmatch(ARGV[6], '[^\n]+') do
      named[droplet] = true
      gone[#gone + 1] = at .. ' ' .. droplet .. '\n'
    end
    for since, droplet in string.gmatch(left, '(%d+) ([^\n]+)\n') do
      if not named[droplet] and tonumber(at) - tonumber(since) <= GONE_KEPT_MS then
        gone[#gone + 1] = since .. ' ' .. droplet .. '\n'
      end
    end
    redis.call('HSET', KEYS[2], 'gone', table.concat(gone))
  end
  redis.call('HSET', KEYS[2], 'losses', ARGV[5])
end
if (redis.call('HGET', KEYS[4], 'losses') or '') == ARGV[5] then
  redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
end
redis.call('HSET', KEYS[3], ARGV[2], ARGV[4])
return 1
