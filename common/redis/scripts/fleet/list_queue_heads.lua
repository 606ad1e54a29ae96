-- Lists the oldest job of each priority of a BullMQ queue: within a priority jobs leave in turn, so it leaves first.
-- KEYS
--   1 prioritized jobs of the queue
-- ARGV
--   1 width of a priority in the scores
-- Returns their ids.
local width = tonumber(ARGV[1])
local from = '-inf'
local heads = {}
while true do
  local head = redis.call('ZRANGEBYSCORE', KEYS[1], from, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
  if #head == 0 then
    return heads
  end
  heads[#heads + 1] = head[1]
  from = string.format('%.0f', (math.floor(tonumber(head[2]) / width) + 1) * width)
end
