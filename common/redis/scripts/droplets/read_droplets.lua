#!lua flags=no-writes
-- Reads droplets' records in one command: cheaper for the one who asks than a command a droplet.
-- KEYS  the droplets' hashes; the only script whose keys may be of several slices, where Redis is no cluster
-- Returns for each key, in their order: field, value, field, value, ... joined by newlines ('' if there is none),
-- or '!' and Redis's words where there is something that is no hash.
-- No field or value that the health manager writes has a newline: ids have no control characters, JSON escapes them.
local records = {}
for k = 1, #KEYS do
  local record = redis.pcall('HGETALL', KEYS[k])
  records[k] = record.err and '!' .. record.err or table.concat(record, '\n')
end
return records
