#!lua flags=no-writes
-- Reads the records of droplets in one command, which costs the caller less than a command for each.
-- KEYS for each droplet:
--   1 droplet hash; the keys may be of several slices, so in a cluster a call has those of one slice
-- Returns for each droplet, in order: its record as `field, value, field, value, ...` joined by newlines ('' if there is none);
--   or {'problem', message} if its key has the wrong type.
-- No field or value that this program writes contains a newline: ids have no control characters, and JSON escapes them.
-- include read_record
local records = {}
for k = 1, #KEYS do
  records[k] = read_record(KEYS[k])
end
return records
