-- Runs `work` for one of several droplets. Returns its result, or {'problem', message} if a key of the droplet has the wrong
-- type because somebody edited it. Any other error (a replica, out of memory) fails the whole call.
local function attempt(work, ...)
  local is_done, result = pcall(work, ...)
  if is_done then
    return result
  end
  local message = type(result) == 'table' and result.err or result
  if string.sub(message, 1, 9) ~= 'WRONGTYPE' then
    error(redis.error_reply(message))
  end
  return { 'problem', message }
end
