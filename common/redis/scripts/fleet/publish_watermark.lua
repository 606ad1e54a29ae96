-- Stores the watermark of an ingestor that is subscribed at NATS and reaches Redis. Takes over from ingestors that stand still.
-- KEYS
--   1 listening hash
--   2 watermarks zset
--   3 ingestors hash
-- ARGV
--   1 now (ms)
--   2 ingestor
--   3 longest silence of an ingestor that is no gap (ms)
--   4 longest time between two watermarks of all ingestors within which no heartbeat can be lost (ms)
--   5 watermark: every heartbeat delivered to this ingestor before this time is stored (ms); '' if it has too old a backlog
--   6 '1' if this ingestor may have lost a heartbeat, or ''
--   7 gaps are kept until there was that much listening time after them (ms)
--   8 generation of the queue group that this ingestor has joined, or '' if none
--   9 its host and pid, separated by a space
--   10 '1' if it may take over from others, or ''
--   then each ingestor that NATS reports gone: it is removed
-- Returns {generation to join, since when ingestors have listened without a gap (ms) or nil if the watermark was not stored,
--   1 if heartbeats sent before now may be lost or nil, {each ingestor that was removed}, {id, host and pid of each ingestor
--   that was taken over from}}.
-- Guarantees
--   A watermark of an older generation is not stored: its ingestor must join the current one first. It is on the list before it joins,
--   so that the others take over from it if it stands still before its first watermark: it would swallow its share unnoticed.
--   An ingestor that has published nothing for longer than a gap is taken off the list, and the generation grows by one. All
--   others then join the group of that generation, so the silent one no longer receives a share of the messages alone.
--   A gap begins `since` anew and is added to `gaps`. It is a silence of all ingestors, or of one that never signed off, also if
--   it is gone now: it may have gone only at the end of that silence, and what NATS delivered to it meanwhile was not stored.
--   The gap of a takeover ends with the first watermark of the new generation.
--   Heartbeats may be lost after a gap, when an ingestor is gone, when this one reports it, and when no ingestor listened for
--   however short a time: none is in the zset when this one joins, or none published in time.
--   A time that this program did not write (no whole number, or in the future) counts as none.
-- include is_count
local MAX_GAPS = 64
local now, gap = tonumber(ARGV[1]), tonumber(ARGV[3])
local function time(text)
  return text and is_count(text) and tonumber(text) <= now + gap and tonumber(text) or nil
end
local stored = redis.call('HMGET', KEYS[1], 'since', 'until', 'gaps', 'generation', 'joined', 'taken_over_at', 'begun')
local since, last = time(stored[1]), time(stored[2])

local function text(ms)
  return string.format('%.0f', ms)
end

-- Adds a gap from that time until now to the list: begin and end of each, separated by spaces, oldest first.
local function add_gap(from)
  local gaps = {}
  for begun, ended in string.gmatch(stored[3] or '', '(%d+) (%d+)') do
    if is_count(begun) and is_count(ended) and tonumber(begun) <= tonumber(ended) and tonumber(ended) <= now + gap then
      gaps[#gaps + 1] = { tonumber(begun), tonumber(ended) }
    end
  end
  while gaps[#gaps] and gaps[#gaps][2] >= from do
    from = math.min(from, gaps[#gaps][1])
    gaps[#gaps] = nil
  end
  gaps[#gaps + 1] = { from, now }
  local kept, listened, later = {}, 0, now
  for i = #gaps, 1, -1 do
    listened = listened + later - gaps[i][2]
    if listened > tonumber(ARGV[7]) then
      break
    end
    if #kept == MAX_GAPS then
      kept[#kept][1] = gaps[i][1]
    else
      kept[#kept + 1] = gaps[i]
    end
    later = gaps[i][1]
  end
  local list = {}
  for i = #kept, 1, -1 do
    list[#list + 1] = text(kept[i][1]) .. ' ' .. text(kept[i][2])
  end
  redis.call('HSET', KEYS[1], 'gaps', table.concat(list, ' '))
end

local gap_from
local function note_gap(from)
  gap_from = math.min(gap_from or now, from)
end
-- A watermark may be of a backlog. An ingestor that still publishes is not silent.
local function note_silence(watermark)
  if watermark and now - tonumber(watermark) > gap then
    note_gap(tonumber(watermark))
  end
end
local function begin_streak()
  redis.call('HSET', KEYS[1], 'since', ARGV[1], 'loss_possible_until', ARGV[1])
  if gap_from then
    add_gap(math.floor(gap_from))
  end
end

local generation = stored[4] and is_count(stored[4]) and stored[4] or nil
local joined = ARGV[8]
if not generation or joined ~= '' and tonumber(joined) > tonumber(generation) then
  -- The first one ever is 0. Or Redis lost it, and with it maybe the list of ingestors. Nobody takes over from an ingestor that stands
  -- still and is not listed, so the generation after the latest that any ingestor remembers begins.
  generation = joined == '' and '0' or text(tonumber(joined) + 1)
  redis.call('HSET', KEYS[1], 'generation', generation)
end
if joined == '' or tonumber(joined) < tonumber(generation) then
  redis.call('HSET', KEYS[3], ARGV[2], ARGV[1] .. ' ' .. ARGV[9])
  return { generation, false, false, {}, {} }
end

local taken_over = {}
if ARGV[10] == '1' then
  local peers, watermarks, about_of = {}, {}, {}
  local listed = redis.call('ZRANGE', KEYS[2], 0, -1, 'WITHSCORES')
  for i = 1, #listed, 2 do
    peers[#peers + 1] = listed[i]
    watermarks[listed[i]] = tonumber(listed[i + 1])
  end
  listed = redis.call('HGETALL', KEYS[3])
  for i = 1, #listed, 2 do
    if not watermarks[listed[i]] then
      peers[#peers + 1] = listed[i]
    end
    about_of[listed[i]] = listed[i + 1]
  end
  for _, peer in ipairs(peers) do
    local about = about_of[peer] or ''
    local published = time(string.match(about, '^(%d+) ')) or watermarks[peer] or 0
    if peer ~= ARGV[2] and now - published > gap then
      note_gap(math.min(watermarks[peer] or published, published))
      redis.call('ZREM', KEYS[2], peer)
      redis.call('HDEL', KEYS[3], peer)
      taken_over[#taken_over + 1] = peer
      taken_over[#taken_over + 1] = string.match(about, '^%d+ (.+)$') or ''
    end
  end
end
if #taken_over > 0 then
  generation = text(tonumber(generation) + 1)
  begin_streak()
  redis.call('HSET', KEYS[1], 'generation', generation, 'taken_over_at', ARGV[1])
  redis.call('HSET', KEYS[1], 'taken_over', taken_over[1] .. ' ' .. taken_over[2])
  return { generation, false, 1, {}, taken_over }
end

note_silence(redis.call('ZSCORE', KEYS[2], ARGV[2]))
local removed = {}
for a = 11, #ARGV do
  local about = redis.call('HGET', KEYS[3], ARGV[a])
  local watermark = redis.call('ZSCORE', KEYS[2], ARGV[a]) or about and time(string.match(about, '^(%d+) '))
  redis.call('HDEL', KEYS[3], ARGV[a])
  if watermark then
    note_silence(watermark)
    redis.call('ZREM', KEYS[2], ARGV[a])
    removed[#removed + 1] = ARGV[a]
  end
end
redis.call('HSET', KEYS[3], ARGV[2], ARGV[1] .. ' ' .. ARGV[9])
if ARGV[5] == '' then
  return { generation, false, false, removed, {} }
end

local is_alone = redis.call('ZCARD', KEYS[2]) == 0
local may_be_lost = ARGV[6] == '1' or is_alone or #removed > 0 or not last or now - last > tonumber(ARGV[4])
if last and now - last > gap then
  note_gap(last)
end
local is_first = stored[5] ~= generation
if is_first then
  redis.call('HSET', KEYS[1], 'joined', generation)
end
local taken_over_at = is_first and stored[4] and time(stored[6])
if taken_over_at then
  note_gap(taken_over_at)
end
if not since or not last or gap_from then
  begin_streak()
  may_be_lost = true
end
if may_be_lost then
  redis.call('HSET', KEYS[1], 'loss_possible_until', ARGV[1])
end
if not last or now > last then
  redis.call('HSET', KEYS[1], 'until', ARGV[1])
end
if not time(stored[7]) then
  redis.call('HSET', KEYS[1], 'begun', ARGV[1])
end
redis.call('ZADD', KEYS[2], ARGV[5], ARGV[2])
return { generation, redis.call('HGET', KEYS[1], 'since'), may_be_lost and 1 or false, removed, {} }
