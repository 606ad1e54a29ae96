-- Lists the DEAs that are lost and whose droplets have not been made due since.
-- KEYS
--   1 last heartbeat zset
--   2 lost zset
-- ARGV
--   1 a DEA is lost if its last heartbeat was before this time (ms)
-- Returns DEA, last heartbeat (ms), ...
local silent = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '(' .. ARGV[1], 'WITHSCORES')
local lost = {}
for i = 1, #silent, 2 do
  local marked = redis.call('ZSCORE', KEYS[2], silent[i])
  if not marked or tonumber(marked) ~= tonumber(silent[i + 1]) then
    lost[#lost + 1] = silent[i]
    lost[#lost + 1] = silent[i + 1]
  end
end
return lost
