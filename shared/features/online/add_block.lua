@TREE@
-- A block at the end, with one row. The one before is full: its summary is noted and its strings are made to fit.
local rows = call('GET', prefix .. ':b' .. number)
call('SET', prefix .. ':t' .. number, times, 'PX', @TTL@)
call('SET', prefix .. ':b' .. number, rows, 'PX', @TTL@)
local sum, squares_hi, squares, night, largest, located = unpack('<@RUNNING@I6I1', rows, #rows - @ROW@ + @VALUES@ + 1)
local last = sub(page_entry(m), 1, -8) .. pack('<I6I1', largest, located)
local r, s, h, q, d = unpack('<@PAGE_BASE@', last, 11)
local base = page_base(r + i, s + sum, h + squares_hi, q + squares, d + night)
local closed = sub(page, 1, m * @PAGE_ENTRY@ - @PAGE_ENTRY@) .. last
local first, added = sub(head, 1, 6), next_number
next_number = next_number + 1
local encoded_times, encoded = encode({item}, 0, 0, 0, 0, 0, 0, 0, 0)
call('SET', prefix .. ':t' .. added, encoded_times, 'PX', @TTL@)
call('SET', prefix .. ':b' .. added, encoded, 'PX', @TTL@)
if m < @PAGE@ then
  save_page(n, closed .. first .. pack('<I4', added) .. base .. pack('<I6I1', 0, 0))
  save_number()
else
  save_page(n, closed)
  local entry = first .. pack('<I4', next_number) .. absolute(n, first .. pack('<I4', 0) .. base) .. pack('<I6I1', 0, 0)
  next_number = next_number + 1
  save_root(root_with(n, sub(root_entry(n), 1, -8) .. summary(closed) .. entry))
  save_page(n + 1, first .. pack('<I4', added) .. page_base(0, 0, 0, 0, 0) .. pack('<I6I1', 0, 0))
end
