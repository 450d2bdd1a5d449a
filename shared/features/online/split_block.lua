@TREE@
-- Make two pages of one.
local function split_page(n)
  open(n)
  local half = floor(blocks / 2)
  local left, right, moved = sub(page, 1, half * @PAGE_ENTRY@), page_entry(half + 1), {}
  local rank, sum, squares_hi, squares, night = unpack('<@PAGE_BASE@', right, 11)
  for k = half + 1, blocks do
    local entry = page_entry(k)
    local r, s, h, q, d = unpack('<@PAGE_BASE@', entry, 11)
    moved[#moved + 1] = sub(entry, 1, 10) .. page_base(r - rank, s - sum, h - squares_hi, q - squares, d - night)
      .. sub(entry, -7)
  end
  moved = table.concat(moved)
  local added = sub(right, 1, 6) .. pack('<I4', next_number) .. absolute(n, right) .. summary(moved)
  next_number = next_number + 1
  opened = {}
  save_root(root_with(n, sub(root_entry(n), 1, -8) .. summary(left) .. added))
  save_page(n, left)
  save_page(n + 1, moved)
end

-- Make two blocks of a full one.
local rows = call('GET', prefix .. ':b' .. number)
local items = {}
local half = floor(count / 2)
for k = half + 1, count do
  local p, q = (k - 1) * @MOMENT@, (k - 1) * @ROW@
  items[#items + 1] = sub(times, p + 1, p + 6) .. sub(rows, q + 1, q + @VALUES@) .. sub(times, p + 7, p + @MOMENT@)
end
local left = sub(rows, 1, half * @ROW@)
local sum, squares_hi, squares, night, largest, located = unpack('<@RUNNING@I6I1', left, #left - @ROW@ + @VALUES@ + 1)
local entry = page_entry(m)
local r, s, h, q, d = unpack('<@PAGE_BASE@', entry, 11)
local base = page_base(r + half, s + sum, h + squares_hi, q + squares, d + night)
local encoded_times, encoded, _, _, _, _, right_largest, right_located = encode(items, 0, 0, 0, 0, 0, 0, 0, 0)
local added = next_number
next_number = next_number + 1
call('SET', prefix .. ':t' .. number, sub(times, 1, half * @MOMENT@), 'PX', @TTL@)
call('SET', prefix .. ':b' .. number, left, 'PX', @TTL@)
call('SET', prefix .. ':t' .. added, encoded_times, 'PX', @TTL@)
call('SET', prefix .. ':b' .. added, encoded, 'PX', @TTL@)
times_page = 0
save_page(n, sub(page, 1, m * @PAGE_ENTRY@ - @PAGE_ENTRY@) .. sub(entry, 1, -8) .. pack('<I6I1', largest, located)
  .. sub(items[1], 1, 6) .. pack('<I4', added) .. base .. pack('<I6I1', right_largest, right_located)
  .. sub(page, m * @PAGE_ENTRY@ + 1))
save_number()
open(n)
if blocks > @PAGE@ then split_page(n) end
open(pages)
load(pages, blocks)
n, m, i = locate(t, pages, blocks, #times / @MOMENT@)
load(n, m)
number = unpack('<I4', page, m * @PAGE_ENTRY@ - @PAGE_ENTRY@ + 7)
