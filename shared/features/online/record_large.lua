@WRITE_FUNCTIONS@
counter = tonumber(noted[1])
@FIELDS@
local full = head .. pack('<@REF_FORMAT@', @NOTE_OWN@)
write_hash(':k', changed)
call('HSET', prefix .. ':i', bucket_field, remember(pack('<I1', #id) .. id .. full, bucket))
@COUNT_OWN@
if (bytes - 2) / RECORD + 1 >= @LOG@ then
  seal(log .. full .. '\0\0\0')
else
  call('APPEND', prefix .. ':l', full .. '\0\0\0')
end
