-- Stores bulk pages whose droplets are stored, removes pages, and changes the set of droplets that are on no page, in one step.
-- KEYS
--   1 pass that may write pages
--   2 set of the missing droplets
--   then each page to store; then each page to remove
-- ARGV
--   1 number of the pass
--   2 how many pages to store
--   3 how many droplets become missing
--   then for each page to store: sha1, token, count, rejected, ids, entries
--   then the ids that become missing; then the ids that are no longer missing
-- Returns 'stored'; 'superseded' if another pass may write (see fence_pass.lua): nothing is written then.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 'superseded'
end
local pages, missing = tonumber(ARGV[2]), tonumber(ARGV[3])
local arg = 4
for k = 3, 2 + pages do
  redis.call('HSET', KEYS[k], 'sha1', ARGV[arg], 'token', ARGV[arg + 1], 'count', ARGV[arg + 2],
    'rejected', ARGV[arg + 3], 'ids', ARGV[arg + 4], 'entries', ARGV[arg + 5])
  arg = arg + 6
end
for k = 3 + pages, #KEYS do
  redis.call('DEL', KEYS[k])
end
for a = arg, arg + missing - 1 do
  redis.call('SADD', KEYS[2], ARGV[a])
end
for a = arg + missing, #ARGV do
  redis.call('SREM', KEYS[2], ARGV[a])
end
return 'stored'
