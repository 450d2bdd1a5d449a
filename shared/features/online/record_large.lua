@WRITE_FUNCTIONS@
counter = tonumber(noted[1])
@FIELDS@
-- The number of the arrival tells equal transactions apart.
local order = unpack('<I3', log, 3)
if bytes >= START then
  local last = unpack('<I3', log, bytes - 2)
  if last >= order then order = (last + 1) % 16777216 end
end
local full = head .. pack('<@REF_FORMAT@I3', @NOTE_OWN@, order)
write_hash(':k', changed)
call('HSET', prefix .. ':i', bucket_field, remember(pack('<I1', #id) .. id .. full, bucket))
@COUNT_OWN@
if (bytes - START + 1) / RECORD + 1 >= @LOG@ then
  seal(log .. full, order + 1)
else
  call('APPEND', prefix .. ':l', full)
end
