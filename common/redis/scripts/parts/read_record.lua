-- A droplet's record, encoded as read_droplets.lua returns it, and its fields and values; only the problem if its key has the
-- wrong type.
local function read_record(key)
  local fields = redis.pcall('HGETALL', key)
  if fields.err then
    return { 'problem', fields.err }
  end
  return table.concat(fields, '\n'), fields
end
