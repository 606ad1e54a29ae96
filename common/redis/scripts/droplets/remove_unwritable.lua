-- Removes a record that no script can write, because somebody edited it. Its index entry stays, so it counts as lost and is built again.
-- KEYS
--   1 droplet hash
-- Returns 'removed', or 'kept' if there is none or it can be written.
-- include is_unwritable
local stored = redis.pcall('HMGET', KEYS[1], 'rev')
if not is_unwritable(stored, stored[1]) then
  return 'kept'
end
redis.call('DEL', KEYS[1])
return 'removed'
