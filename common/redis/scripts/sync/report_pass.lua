-- A pass of the sync says how it stands, if it is still the one.
-- KEYS  1 state of the sync, 2 the hash to write to (may be the same)
-- ARGV  1 the pass's number, then field, value, ...; no value: the field is removed
-- Returns 1, or 0 if another pass has begun since (or Redis has lost its data): nothing is written then.
if redis.call('HGET', KEYS[1], 'pass') ~= ARGV[1] then
  return 0
end
for a = 2, #ARGV, 2 do
  if ARGV[a + 1] == '' then
    redis.call('HDEL', KEYS[2], ARGV[a])
  else
    redis.call('HSET', KEYS[2], ARGV[a], ARGV[a + 1])
  end
end
return 1
