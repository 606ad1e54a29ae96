-- Lets other DEAs take over the instances of a DEA that sends no heartbeats.
-- KEYS
--   1 last heartbeat zset
--   2 shutdown hash
--   3 digest hash
--   4 list hash of the DEA
-- ARGV
--   1 DEA
--   2 it is silent if its last heartbeat was before this time (ms)
--   3 the instances that others take over, a line each: droplet <tab> guid; '' if it need not get them back
-- Returns 'released', or its last heartbeat (ms; the time of argument 2 if that was lost) if it is not silent and has not announced its shutdown: nothing is changed then.
-- Guarantees
--   The next heartbeat of a DEA that was released is stored whole, although it may equal the last one. It gets back those of the
--   instances that it lists, because it was the first to list them.
--   So is one that has begun and is not finished: its end is refused.
local last = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not last and ARGV[2] ~= 'inf' and redis.call('EXISTS', KEYS[4]) == 1 then
  -- A DEA that has a list and no last heartbeat has not expired: that time was lost. The analyzers set it again.
  last = ARGV[2]
end
if last and tonumber(last) >= tonumber(ARGV[2]) and redis.call('HEXISTS', KEYS[2], ARGV[1]) == 0 then
  return last
end
if redis.call('HEXISTS', KEYS[3], ARGV[1]) == 1 then
  redis.call('HSET', KEYS[3], ARGV[1], '')
end
if redis.call('HEXISTS', KEYS[4], 'next') == 1 then
  redis.call('HINCRBY', KEYS[4], 'at', 1)
end
if ARGV[3] ~= '' and last then
  local released = redis.call('HGET', KEYS[4], 'released') or '\n'
  for line in string.gmatch(ARGV[3], '[^\n]+') do
    if not string.find(released, '\n' .. line .. '\n', 1, true) then
      released = released .. line .. '\n'
    end
  end
  redis.call('HSET', KEYS[4], 'released', released)
end
return 'released'
