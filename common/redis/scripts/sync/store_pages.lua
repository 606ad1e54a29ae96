-- Remembers bulk pages whose droplets are stored, and which droplets are on none of them any more; all at once.
-- KEYS  1 pass of the slot, 2 set of the missing, then the pages
-- ARGV  1 the pass's number, then for each page: sha1, token, count, rejected, entries (sha1 empty: the page goes);
--       then how many ids are missing, these ids, and ids that are missing no more
-- Returns 1, or -1 if this is not the pass that writes (see fence_pass.lua).
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return -1
end
local arg = 2
for k = 3, #KEYS do
  if ARGV[arg] == '' then
    redis.call('DEL', KEYS[k])
  else
    redis.call('HSET', KEYS[k], 'sha1', ARGV[arg], 'token', ARGV[arg + 1], 'count', ARGV[arg + 2],
      'rejected', ARGV[arg + 3], 'entries', ARGV[arg + 4])
  end
  arg = arg + 5
end
local missing = tonumber(ARGV[arg])
for a = arg + 1, arg + missing do
  redis.call('SADD', KEYS[2], ARGV[a])
end
for a = arg + missing + 1, #ARGV do
  redis.call('SREM', KEYS[2], ARGV[a])
end
return 1
