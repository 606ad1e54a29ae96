-- Begins to store a heartbeat that differs from the last one of its DEA.
-- KEYS
--   1 last heartbeat zset
--   2 previous heartbeat zset
--   3 digest hash
--   4 list hash of the DEA
--   5 shutdown hash
--   6 failover hash
--   7 running instances hash
-- ARGV
--   1 when it was received (ms)
--   2 DEA
--   3 what it lists: a line for each instance, fingerprint and droplet
--   4 the earliest time at which it may have been delivered (ms)
--   5 the most DEAs that may be known: beyond it a new one is not stored
--   6 how often each DEA is verified (ms)
--   7 heartbeats of a DEA that were received less than this apart have no order (ms)
--   8 1 if it may wait for an unfinished one
-- Returns 'stale' if a newer one has begun, or an equal one was received later; 'full' if too many DEAs are known; 'unfinished' if it
-- must wait. Otherwise a list:
--   1 its time (ms): as given, or a millisecond after the other one with which it has no order
--   2 stored list, or nil
--   3 a line for each droplet whose record may be incomplete: those of unfinished heartbeats, and the suspects (see verifier.ts);
--     where data may have been lost, also those that the DEA ceased to list lately
--   4 last heartbeat of the DEA before this one (ms), or nil
--   5 1 if there are unfinished heartbeats (they may have listed nothing), or nil
--   6 1 if data may have been lost since the list was stored, or nil
--   7 data epoch, or nil outside a cluster
--   8 1 if every droplet that it lists must be verified, because it is the DEA's turn or there is no digest; or nil
--   9 1 if a stored list was lost: records may name the DEA although it lists their instances no more; or nil
--   10 1 if there should be a digest and is none; or nil
--   11 droplets that it lists and of which it holds no wanted slot, a line each, as of the last write of each; or nil
--   12 instances that others took over while it was silent, a line each: droplet <tab> guid; or nil
-- Guarantees
--   The digest is removed until the heartbeat is finished. If the ingestor dies before, an equal heartbeat is stored as a whole.
--   Some DEAs send a heartbeat with a single new instance just after the full list. Two ingestors that store both know neither which
--   was first nor what the other lists, so neither is dropped and neither takes the place of the other: what only one of them
--   lists would never have been seen. (Of equal lists nothing is lost; it may be this heartbeat, whose first reply was lost.)
--   'unfinished' keeps every droplet that unfinished heartbeats may have written; the next heartbeat writes all of them.
-- include verify_period
local at, dea = ARGV[1], ARGV[2]
local early_shutdown = redis.call('HGET', KEYS[4], 'shutdown')
if early_shutdown then
  -- The key has nothing else, and expires (store_shutdown.lua).
  redis.call('DEL', KEYS[4])
  redis.call('HSET', KEYS[5], dea, early_shutdown)
end
local stored = redis.call('HMGET', KEYS[4], 'at', 'list', 'next', 'unfinished', 'data_epoch', 'delisted', 'suspects', 'list_lost', 'unwanted', 'released')
local stored_at, list, pending, unfinished, list_epoch, delisted, suspects, list_lost, unwanted, released =
  stored[1], stored[2], stored[3], stored[4], stored[5], stored[6], stored[7], stored[8], stored[9], stored[10]
local data_epoch = redis.call('HGET', KEYS[6], 'data_epoch')
local last = redis.call('ZSCORE', KEYS[1], dea)
local newest = math.max(tonumber(stored_at or 0) or 0, tonumber(last or 0))
local later_ms = tonumber(at) - newest
local has_no_order = math.abs(later_ms) < tonumber(ARGV[7])
if later_ms < 0 and not has_no_order then
  return 'stale'
elseif pending and pending ~= ARGV[3] and has_no_order and ARGV[8] == '1' then
  return 'unfinished'
elseif later_ms <= 0 then
  at = string.format('%.0f', math.floor(newest) + 1)
end
if not last and redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[5]) then
  return 'full'
end
local digest = redis.call('HGET', KEYS[3], dea)
redis.call('HDEL', KEYS[3], dea)
local is_suspect = data_epoch and data_epoch ~= list_epoch
local is_digest_missing = last and not digest and not pending and not is_suspect
-- An empty digest has expired.
local is_verified = last and (not digest or digest == '' or suspects or is_verified_between(dea, last, at, tonumber(ARGV[6])))
-- Any other trace of an earlier heartbeat shows that there was a list.
local was_stored = last or digest or redis.call('HEXISTS', KEYS[7], dea) == 1
if was_stored and not list and not pending then
  list_lost = at
  redis.call('HSET', KEYS[4], 'list_lost', at)
end
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
if suspects then
  incomplete = incomplete .. suspects
  redis.call('HDEL', KEYS[4], 'suspects')
end
redis.call('HSET', KEYS[4], 'at', at, 'next', ARGV[3], 'unfinished', incomplete)
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
-- A heartbeat that was delivered before the shutdown and is handled after it does not show that the DEA runs on.
local shutdown = redis.call('HGET', KEYS[5], dea)
if shutdown and tonumber(ARGV[4]) > (tonumber(shutdown) or 0) then
  redis.call('HDEL', KEYS[5], dea)
end
return {
  at, list, incomplete, last, pending and 1, is_suspect and 1, data_epoch, is_verified and 1,
  list_lost and 1, is_digest_missing and 1, unwanted, released,
}
