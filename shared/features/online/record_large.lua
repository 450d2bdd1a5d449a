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
local number, count = unpack('<I4', page, m * @PAGE_ENTRY@ - @PAGE_ENTRY@ + 7), #times / @MOMENT@
if append_row and i < @BLOCK@ then
  local sum, squares_hi, squares, night, largest, located = unpack('<@RUNNING@I6I1', last_row, @VALUES@ + 1)
  local moment, encoded = encode({item}, i, sum, squares_hi, squares, night, largest, located,
    located > 0 and unpack('<I6', times, (located - 1) * @MOMENT@ + 1))
  call('APPEND', prefix .. ':t' .. number, moment)
  call('APPEND', prefix .. ':b' .. number, encoded)
else
  local grows = append_row or count == @FULL@
  if append_row then
    @ADD_BLOCK@
  else
    if grows then
      @SPLIT_BLOCK@
    end
    @INSERT_ROW@
  end
  if grows then
    @TRIM@
  end
end
if count % @STRIDE@ == @STRIDE_REST@ then
  @SWEEP@
end
