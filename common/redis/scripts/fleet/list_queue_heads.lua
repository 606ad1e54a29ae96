-- The job that leaves first of each priority of a prioritized queue: its oldest, as within one they leave in turn.
-- KEYS  1 the queue's prioritized jobs
-- ARGV  1 the width of a priority in the scores
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
