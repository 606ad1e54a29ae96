-- Begins the record of a droplet that has none. A record that is lost leaves its index entry, so it is marked as begun anew.
local function begin_record(hash, index, droplet, now)
  if redis.call('EXISTS', hash) == 1 then
    return
  end
  redis.call('HSET', hash, 'seen', now)
  if redis.call('HSETNX', index, droplet, '') == 0 then
    redis.call('HSET', hash, 'rebuilt', now)
  end
end
