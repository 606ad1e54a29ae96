-- Begins to store a heartbeat that differs from the last one of its DEA.
-- KEYS
--   1 last heartbeat zset
--   2 previous heartbeat zset
--   3 digest hash
--   4 list hash of the DEA
--   5 shutdown hash
--   6 failover hash
-- ARGV
--   1 when it was received (ms)
--   2 DEA
--   3 what it lists: a line for each instance, fingerprint and droplet
-- Returns 'stale' if a newer one has begun, or an equal one was received later. Otherwise a list:
--   1 its time (ms): a millisecond later than given, if another one was received in the same millisecond
--   2 stored list, or nil
--   3 a line for each droplet whose record may be incomplete: those of unfinished heartbeats; where data may have been lost,
--     also those that the DEA ceased to list lately
--   4 last heartbeat of the DEA before this one (ms), or nil
--   5 1 if there are unfinished heartbeats (they may have listed nothing), or nil
--   6 1 if data may have been lost since the list was stored, or nil
--   7 data epoch, or nil outside a cluster
-- Guarantees
--   The digest is removed until the heartbeat is finished. If the ingestor dies before, an equal heartbeat is stored as a whole.
--   'unfinished' keeps every droplet that unfinished heartbeats may have written; the next heartbeat writes all of them.
local at, dea = ARGV[1], ARGV[2]
local stored = redis.call('HMGET', KEYS[4], 'at', 'list', 'next', 'unfinished', 'data_epoch', 'delisted')
local stored_at, list, pending, unfinished, list_epoch, delisted =
  stored[1], stored[2], stored[3], stored[4], stored[5], stored[6]
local data_epoch = redis.call('HGET', KEYS[6], 'data_epoch')
if stored_at then
  if tonumber(at) < tonumber(stored_at) then
    return 'stale'
  elseif tonumber(at) == tonumber(stored_at) then
    at = string.format('%.0f', tonumber(at) + 1)
  end
end
local last = redis.call('ZSCORE', KEYS[1], dea)
if last and tonumber(at) < tonumber(last) then
  return 'stale'
end
redis.call('HDEL', KEYS[3], dea)
local incomplete = ''
if pending then
  -- Each droplet once, so this does not grow however many heartbeats are never finished.
  local seen, lines = {}, {}
  for line in string.gmatch((unfinished or '') .. pending, '[^\n]+') do
    local droplet = string.sub(line, 9)
    if not seen[droplet] then
      seen[droplet] = true
      lines[#lines + 1] = line .. '\n'
    end
  end
  incomplete = table.concat(lines)
end
redis.call('HSET', KEYS[4], 'at', at, 'next', ARGV[3], 'unfinished', incomplete)
local is_suspect = data_epoch and data_epoch ~= list_epoch
if is_suspect then
  for droplet in string.gmatch(delisted or '', '%d+ ([^\n]+)\n') do
    incomplete = incomplete .. '        ' .. droplet .. '\n'
  end
end
if not last or tonumber(at) > tonumber(last) then
  if last then
    redis.call('ZADD', KEYS[2], last, dea)
  end
  redis.call('ZADD', KEYS[1], at, dea)
end
redis.call('HDEL', KEYS[5], dea)
return { at, list, incomplete, last, pending and 1, is_suspect and 1, data_epoch }
