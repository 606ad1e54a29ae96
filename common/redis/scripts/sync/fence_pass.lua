-- Makes a pass of the sync the only one that writes under one hash tag. The number of a pass is a fencing token: the writes of
-- an older pass, stopped or cut off and late, find another number and change nothing.
-- KEYS
--   1 pass that may write
-- ARGV
--   1 number of the pass
-- Returns 'fenced', or 'superseded' if a newer pass has begun.
local current = redis.call('GET', KEYS[1])
-- A number that somebody edited counts as missing.
if current and (tonumber(current) or 0) > tonumber(ARGV[1]) then
  return 'superseded'
end
redis.call('SET', KEYS[1], ARGV[1])
return 'fenced'
