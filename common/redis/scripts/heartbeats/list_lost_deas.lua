-- Lists the DEAs that were silent for longer than droplet_lost and whose droplets have not been made due since.
-- KEYS
--   1 last heartbeat zset
--   2 lost zset
-- ARGV
--   1 until when silence counts (ms)
--   2 droplet_lost (ms)
-- Returns DEA, last heartbeat (ms), ...
local before = tonumber(ARGV[1]) - tonumber(ARGV[2])
local silent = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '(' .. before, 'WITHSCORES')
local lost = {}
for i = 1, #silent, 2 do
  local marked = redis.call('ZSCORE', KEYS[2], silent[i])
  if not marked or tonumber(marked) ~= tonumber(silent[i + 1]) then
    lost[#lost + 1] = silent[i]
    lost[#lost + 1] = silent[i + 1]
  end
end
return lost
