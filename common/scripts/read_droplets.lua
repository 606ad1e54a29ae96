#!lua flags=no-writes
-- Reads droplets' records in one command: cheaper for the one who asks than a command a droplet.
-- KEYS  the droplets' hashes; the only script whose keys may be of several slices, where Redis is no cluster
-- Returns for each key, in their order: field, value, field, value, ... joined by newlines ('' if there is none).
-- Of what is no hash one field that no record has: it cannot be read, the others can.
-- No field or value that the health manager writes has a newline: ids have no control characters, JSON escapes them.
local records = {}
for k = 1, #KEYS do
  local record = redis.pcall('HGETALL', KEYS[k])
  records[k] = record.err and 'no hash\n' .. record.err or table.concat(record, '\n')
end
return records
