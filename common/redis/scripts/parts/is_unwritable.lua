-- include is_count
-- Whether a droplet's record cannot be written because somebody edited it: its key has the wrong type, or its revision is no
-- count. `reply` is the reply of redis.pcall for its key, `rev` the revision if there is one.
local function is_unwritable(reply, rev)
  return reply.err ~= nil or (rev and not is_count(rev))
end
