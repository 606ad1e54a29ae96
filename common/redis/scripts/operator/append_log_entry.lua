-- Appends an entry to a decision log.
-- KEYS
--   1 decision log
-- ARGV
--   1 length of the decision log
--   2 log entry (JSON)
-- Returns 'appended'.
-- Guarantees
--   A repeat after a lost reply appends the entry twice.
-- include append_to_log
append_to_log(KEYS[1], ARGV[1], ARGV[2])
return 'appended'
