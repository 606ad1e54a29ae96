-- What Redis has lost is found by verifying the droplets of each DEA, although its heartbeats stay equal. The DEAs take turns.
local VERIFY_EVERY_MS = 540000

-- Whether the turn of a DEA comes between two of its heartbeats (ms). Its time within the period follows from the last four
-- characters of its id: those of a real DEA are random.
local function is_verified_between(dea, from, to)
  local a, b, c, d = string.byte(dea, -4, -1)
  local id = (((a or 0) * 251 + (b or 0)) * 251 + (c or 0)) * 251 + (d or 0)
  -- A prime that does not divide the period, so that ids that follow one another have turns far apart.
  local offset = (id * 7919) % VERIFY_EVERY_MS
  return math.floor((tonumber(from) - offset) / VERIFY_EVERY_MS) < math.floor((tonumber(to) - offset) / VERIFY_EVERY_MS)
end
