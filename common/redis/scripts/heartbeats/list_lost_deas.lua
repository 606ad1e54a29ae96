-- DEAs that have been silent for longer than droplet_lost and whose droplets have not been marked due since.
-- KEYS  1 heard zset, 2 lost zset
-- ARGV  1 now (ms), 2 droplet_lost (ms)
-- Returns DEA, when it was heard (ms), ...
local silent = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '(' .. (tonumber(ARGV[1]) - tonumber(ARGV[2])), 'WITHSCORES')
local lost = {}
for i = 1, #silent, 2 do
  local marked = redis.call('ZSCORE', KEYS[2], silent[i])
  if not marked or tonumber(marked) ~= tonumber(silent[i + 1]) then
    lost[#lost + 1] = silent[i]
    lost[#lost + 1] = silent[i + 1]
  end
end
return lost
