-- Makes every troubled droplet of a slice due, because a hold has ended.
-- KEYS
--   1 troubled zset
--   2 due zset
-- ARGV
--   1 now (ms)
-- Returns how many.
-- Guarantees
--   A droplet that is due earlier stays so. Repeatable.
local ids = redis.call('ZRANGE', KEYS[1], 0, -1)
for _, id in ipairs(ids) do
  local due_at = redis.call('ZSCORE', KEYS[2], id)
  if not due_at or tonumber(due_at) > tonumber(ARGV[1]) then
    redis.call('ZADD', KEYS[2], ARGV[1], id)
  end
end
return #ids
