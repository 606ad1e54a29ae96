-- What is done for one of several droplets: its result, or in words what is wrong with its keys, if somebody has made
-- something else of them by hand. Any other error (a replica, no memory) is an answer to the whole call.
local function attempt(work, ...)
  local is_done, result = pcall(work, ...)
  if is_done then
    return result
  end
  local words = type(result) == 'table' and result.err or result
  if string.sub(words, 1, 9) ~= 'WRONGTYPE' then
    error(redis.error_reply(words))
  end
  return words
end
