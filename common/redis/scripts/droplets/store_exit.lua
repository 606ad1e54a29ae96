-- An instance ended (droplet.exited).
-- KEYS  1 droplet hash, 2 due zset, 3 piece of the index, 4 stream of events, or none: in a cluster it is on another node
-- ARGV  1 droplet, 2 instance, 3 its exit in words without ' n ...', 4 now (ms), 5 reason, 6 how long an exit stands
--       against heartbeats (ms), 7 about so many entries are kept in the stream, then the event's fields and values
-- Returns 1, or 0 if that instance's end is known already. An announced evacuation is not yet an end: another reason
-- replaces it. And an instance whose exit stands no more may run again (its DEA resumed it): it may end again.
-- Repeatable.
local field = 'exit:' .. ARGV[2]
local old = redis.call('HGET', KEYS[1], field)
if old then
  local at = tonumber(string.match(old, ' at (%S+)'))
  local stands = not at or tonumber(ARGV[4]) - at <= tonumber(ARGV[6])
  if stands and (ARGV[5] == 'DEA_EVACUATION' or not string.find(old, '^%d+ DEA_EVACUATION ')) then
    return 0
  end
end
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('HSET', KEYS[1], 'seen', ARGV[4])
  redis.call('HSET', KEYS[3], ARGV[1], '')
end
local n = redis.call('HINCRBY', KEYS[1], 'exits', 1)
redis.call('HSET', KEYS[1], field, ARGV[3] .. ' n ' .. n)
redis.call('HINCRBY', KEYS[1], 'rev', 1)
redis.call('ZADD', KEYS[2], ARGV[4], ARGV[1])
if KEYS[4] then
  redis.call('XADD', KEYS[4], 'MAXLEN', '~', ARGV[7], '*', unpack(ARGV, 8))
end
return 1
