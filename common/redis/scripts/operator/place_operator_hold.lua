-- Stores a hold that an operator asked for, and removes those that have ended.
-- KEYS
--   1 operator holds hash
-- ARGV
--   1 id of the hold
--   2 hold (JSON)
--   3 now (ms)
--   4 most holds at once
-- Returns 'placed', or 'full' if there are that many already.
-- Guarantees
--   Repeatable: the same id is stored once. A hold that cannot be read is removed, too.
local all = redis.call('HGETALL', KEYS[1])
local count = 0
for at = 1, #all, 2 do
  local ok, hold = pcall(cjson.decode, all[at + 1])
  local until_ms = ok and type(hold) == 'table' and tonumber(hold.untilMs)
  if not until_ms or until_ms <= tonumber(ARGV[3]) then
    redis.call('HDEL', KEYS[1], all[at])
  elseif all[at] ~= ARGV[1] then
    count = count + 1
  end
end
if count >= tonumber(ARGV[4]) then
  return 'full'
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return 'placed'
