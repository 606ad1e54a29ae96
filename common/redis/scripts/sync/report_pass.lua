-- Writes the state of a pass of the sync, if it is the latest one.
-- KEYS
--   1 state of the sync
--   2 hash to write to (may be the same)
-- ARGV
--   1 number of the pass
--   then field and value, ...; an empty value removes the field
-- Returns 'reported'; 'superseded' if another pass has begun, or Redis has lost its data: nothing is written then.
if redis.call('HGET', KEYS[1], 'pass') ~= ARGV[1] then
  return 'superseded'
end
for a = 2, #ARGV, 2 do
  if ARGV[a + 1] == '' then
    redis.call('HDEL', KEYS[2], ARGV[a])
  else
    redis.call('HSET', KEYS[2], ARGV[a], ARGV[a + 1])
  end
end
return 'reported'
