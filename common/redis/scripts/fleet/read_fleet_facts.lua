#!lua flags=no-writes
-- What the deployment's holds follow from, in one command.
-- KEYS  1 listening, 2 ingestors, 3 sync state, 4 holds, 5 lineage
-- Returns since, until, score of the most silent ingestor, completed, succeeded, mass_loss, mass_delete; '' for
-- what there is not; then '1' if no pass has written everything since data may have been lost; mass_loss_evaluated; missed.
local listening = redis.call('HMGET', KEYS[1], 'since', 'until', 'missed')
local silent = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
local sync = redis.call('HMGET', KEYS[3], 'completed', 'succeeded', 'rewritten_at_epoch')
local epoch = redis.call('HGET', KEYS[5], 'data_epoch')
local holds = redis.call('HMGET', KEYS[4], 'mass_loss', 'mass_delete', 'mass_loss_evaluated')
return {
  listening[1] or '', listening[2] or '', silent[2] or '', sync[1] or '', sync[2] or '', holds[1] or '', holds[2] or '',
  epoch and epoch ~= sync[3] and '1' or '', holds[3] or '', listening[3] or '',
}
