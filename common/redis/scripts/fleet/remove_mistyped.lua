-- Removes a key that somebody gave another type.
-- KEYS
--   1 any key
-- ARGV
--   1 its type
-- Returns 'removed', or 'kept' if it has that type or is not there.
local found = redis.call('TYPE', KEYS[1]).ok
if found == ARGV[1] or found == 'none' then
  return 'kept'
end
redis.call('DEL', KEYS[1])
return 'removed'
