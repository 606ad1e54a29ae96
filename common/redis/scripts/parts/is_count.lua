-- Whether a text is a whole number that HINCRBY can still increase.
local function is_count(text)
  return string.find(text, '^%d+$') and #text < 16
end
