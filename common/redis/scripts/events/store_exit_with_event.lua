-- Stores that an instance ended, and appends an event that wakes an analyzer. Not for a cluster, where the stream is on another
-- node than the droplet.
-- KEYS
--   1 to 3 as in store_exit.lua
--   4 stream of events
-- ARGV
--   1 to 6 as in store_exit.lua
--   7 about how many entries the stream keeps
--   then field and value of the event, ...
-- Returns 'stored', or 'known' if that instance's exit is known: no event is appended then.
-- Guarantees: those of store_exit.lua.
-- include begin_record
-- include record_exit
local result = record_exit()
if result == 'stored' then
  redis.call('XADD', KEYS[4], 'MAXLEN', '~', ARGV[7], '*', unpack(ARGV, 8))
end
return result
