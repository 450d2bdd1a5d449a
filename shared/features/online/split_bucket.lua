-- One more bucket, which takes over half of the one that is next to be split.
local _, exponent = math.frexp(buckets)
local split, added = buckets - 2 ^ (exponent - 1), buckets
buckets = buckets + 1
log = sub(log, 1, 11) .. pack('<I3', buckets) .. sub(log, 15)
call('SETRANGE', prefix .. ':l', 11, pack('<I3', buckets))
local mixed, kept, taken, p = call('HGET', prefix .. ':k', split) or '', {}, {}, 1
while p <= #mixed do
  local length = 1 + byte(mixed, p) + @VERSION@
  local target = bucket_of(sub(mixed, p + 1, p + length - 1 - @VERSION@)) == added and taken or kept
  target[#target + 1] = sub(mixed, p, p + length - 1)
  p = p + length
end
if #taken > 0 then
  call('HSET', prefix .. ':k', split, table.concat(kept), added, table.concat(taken))
  if #kept == 0 then call('HDEL', prefix .. ':k', split) end
end
