-- Removes a record that could not be read, because somebody edited it. Its index entry stays, so it counts as lost and is built again.
-- KEYS
--   1 droplet hash
-- ARGV
--   1 the revision that was read; '' if there was none
-- Returns 'removed', or 'kept' if there is none, or a process has written it since.
local rev = redis.pcall('HGET', KEYS[1], 'rev')
local is_of_wrong_type = type(rev) == 'table'
if not is_of_wrong_type and (rev or '') ~= ARGV[1] then
  return 'kept'
end
return redis.call('DEL', KEYS[1]) == 1 and 'removed' or 'kept'
