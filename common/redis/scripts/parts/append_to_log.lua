-- Appends an entry (JSON) to a decision log, which keeps about `length` entries.
local function append_to_log(log, length, entry)
  redis.call('XADD', log, 'MAXLEN', '~', length, '*', 'entry', entry)
end
