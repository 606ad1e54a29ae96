-- Stores an exit in the record: shared by store_exit.lua and store_exit_with_event.lua, which list the KEYS and ARGV.
local function record_exit()
  local hash, due, index = KEYS[1], KEYS[2], KEYS[3]
  local droplet, encoded, now, reason = ARGV[1], ARGV[3], ARGV[4], ARGV[5]
  local field = 'exit:' .. ARGV[2]
  local known = redis.call('HGET', hash, field)
  if known then
    local at = tonumber(string.match(known, ' at (%S+)'))
    local stands = not at or tonumber(now) - at <= tonumber(ARGV[6])
    if stands and (reason == 'DEA_EVACUATION' or not string.find(known, '^%d+ DEA_EVACUATION ')) then
      return 'known'
    end
  end
  begin_record(hash, index, droplet, now)
  local n = redis.call('HINCRBY', hash, 'exits', 1)
  redis.call('HSET', hash, field, encoded .. ' n ' .. n)
  redis.call('HINCRBY', hash, 'rev', 1)
  redis.call('ZADD', due, now, droplet)
  return 'stored'
end
