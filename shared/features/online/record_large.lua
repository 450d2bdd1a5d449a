@NOTE_FUNCTIONS@
counter = tonumber(noted[1])
@FIELDS@
local full = head .. pack('<@REF_FORMAT@', @NOTE_OWN@)
write_hash(':k', changed)
call('HSET', prefix .. ':i', bucket_field, remember(pack('<I1', #id) .. id .. full, bucket))
@COUNT_OWN@
@ENCODE@
local item = sub(full, 1, 20)@CODES_OF_FULL@
load(n, m)
local number = unpack('<I4', page, m * @PAGE_ENTRY@ - @PAGE_ENTRY@ + 7)
if append_row and i < @BLOCK@ then
  local sum, squares_hi, squares, night, largest, located = unpack('<@RUNNING@I6I1', row(n, m, i, @VALUES@, @ROW@ - 1))
  local _, encoded = encode(
    {item}, i, sum, squares_hi, squares, night, largest, located, located > 0 and unpack('<I6', times, located * 6 - 5))
  call('APPEND', prefix .. ':t' .. number, sub(head, 1, 6))
  call('APPEND', prefix .. ':b' .. number, encoded)
else
  @GROW@
end
