-- Begins to store a changed heartbeat of one DEA.
-- KEYS  1 heard zset, 2 previous zset, 3 digest hash, 4 the DEA's list hash, 5 shutdown hash, 6 lineage hash
-- ARGV  1 when it was received (ms), 2 DEA, 3 what it lists (a line each: fingerprint, droplet)
-- Returns {'stale'} if a newer one has begun or was equal to what is stored, else {its time (ms), list as stored, a line
-- of each droplet that unfinished ones listed, when the DEA was heard before (ms, or ''), '1' if there are unfinished
-- ones (they may have listed nothing), '1' if data may have been lost since its list was stored: what it ceased to
-- list lately is among the unfinished ones then, epoch of data as they are known}. Of two that were received in the same millisecond the second one's time is a
-- millisecond later.
--
-- The digest goes first: until finish_heartbeat puts it back, an equal heartbeat is stored whole again, so whoever
-- dies in between loses nothing. 'writing' keeps what unfinished heartbeats listed, so that the one who comes
-- after knows every droplet that they may have touched.
local at, dea = ARGV[1], ARGV[2]
local stored = redis.call('HMGET', KEYS[4], 'at', 'list', 'next', 'writing', 'data_epoch', 'gone')
local epoch = redis.call('HGET', KEYS[6], 'data_epoch')
if stored[1] then
  if tonumber(at) < tonumber(stored[1]) then
    return { 'stale' }
  elseif tonumber(at) == tonumber(stored[1]) then
    at = string.format('%.0f', tonumber(at) + 1)
  end
end
local heard = redis.call('ZSCORE', KEYS[1], dea)
if heard and tonumber(at) < tonumber(heard) then
  return { 'stale' }
end
redis.call('HDEL', KEYS[3], dea)
local unfinished = ''
if stored[3] then
  -- Each droplet once: however many are never finished, this does not grow.
  local seen, lines = {}, {}
  for line in string.gmatch((stored[4] or '') .. stored[3], '[^\n]+') do
    local droplet = string.sub(line, 9)
    if not seen[droplet] then
      seen[droplet] = true
      lines[#lines + 1] = line .. '\n'
    end
  end
  unfinished = table.concat(lines)
end
redis.call('HSET', KEYS[4], 'at', at, 'next', ARGV[3], 'writing', unfinished)
local doubted = ''
if epoch and epoch ~= stored[5] then
  doubted = '1'
  for droplet in string.gmatch(stored[6] or '', '%d+ ([^\n]+)\n') do
    unfinished = unfinished .. '        ' .. droplet .. '\n'
  end
end
if not heard or tonumber(at) > tonumber(heard) then
  if heard then
    redis.call('ZADD', KEYS[2], heard, dea)
  end
  redis.call('ZADD', KEYS[1], at, dea)
end
redis.call('HDEL', KEYS[5], dea)
return { at, stored[2] or '', unfinished, heard or '', stored[3] and '1' or '', doubted, epoch or '' }
