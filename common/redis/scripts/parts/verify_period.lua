-- What Redis has lost is found by verifying the droplets of each DEA, although its heartbeats stay equal. The DEAs take turns.
-- Whether the turn of a DEA, once in `every` ms, comes between two of its heartbeats (ms). Its time within the period follows from
-- the last four characters of its id: those of a real DEA are random.
local function is_verified_between(dea, from, to, every)
  local a, b, c, d = string.byte(dea, -4, -1)
  local id = (((a or 0) * 251 + (b or 0)) * 251 + (c or 0)) * 251 + (d or 0)
  -- A prime that does not divide the period, so that ids that follow one another have turns far apart.
  local offset = (id * 7919) % every
  return math.floor((tonumber(from) - offset) / every) < math.floor((tonumber(to) - offset) / every)
end
