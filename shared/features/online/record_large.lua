@NOTE_FUNCTIONS@
@FIELDS@
local full = head .. pack('<@REF_FORMAT@', @NOTE_OWN@)
local entry = pack('<I1', #id) .. id .. full .. pack('<I@TIED@', tied)
if bucket == '' or unpack('<I6', bucket, byte(bucket) + 2) >= horizon then
  bucket = bucket .. entry
else
  bucket = remember(entry, bucket)
end
local written = {bucket_field, bucket}
for field, value in pairs(changed) do
  written[#written + 1] = field
  written[#written + 1] = value
end
call('HSET', prefix .. ':k', unpack_list(written))
if #bucket > @BUCKET@ then
  @SPLIT_BUCKET@
end
@COUNT_OWN@
@ENCODE@
local item = sub(full, 1, 20)@CODES_OF_FULL@
load(n, m)
local number = unpack('<I4', page, m * @PAGE_ENTRY@ - @PAGE_ENTRY@ + 7)
if append_row and i < @BLOCK@ then
  local sum, squares_hi, squares, night, largest, located = unpack('<@RUNNING@I6I1', last_row, @VALUES@ + 1)
  local _, encoded = encode(
    {item}, i, sum, squares_hi, squares, night, largest, located, located > 0 and unpack('<I6', times, located * 6 - 5))
  call('APPEND', prefix .. ':t' .. number, sub(head, 1, 6))
  call('APPEND', prefix .. ':b' .. number, encoded)
else
  @GROW@
end
