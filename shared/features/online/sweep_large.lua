-- Look at some ids and texts of the card, in turn, and forget those that lie before the horizon.
local scanned = call('HSCAN', prefix .. ':k', call('HGET', prefix .. ':k', '#scan') or '0', 'COUNT', @SWEEP@)
for k = 1, #scanned[2], 2 do
  local field, known = scanned[2][k], scanned[2][k + 1]
  local kind = byte(field)
  if kind >= 48 and kind <= 57 then
    if unpack('<I6', known, byte(known) + 2) < horizon then
      local left = remember('', known)
      if left == '' then call('HDEL', prefix .. ':k', field) else call('HSET', prefix .. ':k', field, left) end
    end
  elseif kind ~= 35 and #known > 3 and unpack('<I3', known, #known - 11) < horizon_day then
    call('HDEL', prefix .. ':k', field)
  end
end
call('HSET', prefix .. ':k', '#scan', scanned[1])
@TRIM_COUNTED@
