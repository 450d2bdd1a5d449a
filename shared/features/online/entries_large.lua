-- Bytes of a page's or of the root's entry that say what lies before it.
local function page_base(rank, sum, squares_hi, squares, night)
  local carried = floor(squares / 1099511627776)
  return pack('<@PAGE_BASE@', rank, sum, squares_hi + carried, squares - carried * 1099511627776, night)
end

local function root_base(rank, sum_hi, sum, squares_top, squares_hi, squares, night)
  local carried = floor(sum / 1099511627776)
  sum_hi, sum = sum_hi + carried, sum - carried * 1099511627776
  carried = floor(squares / 1099511627776)
  squares_hi, squares = squares_hi + carried, squares - carried * 1099511627776
  carried = floor(squares_hi / 1099511627776)
  squares_top, squares_hi = squares_top + carried, squares_hi - carried * 1099511627776
  return pack('<@ROOT_BASE@', rank, sum_hi, sum, squares_top, squares_hi, squares, night)
end

-- The largest amount of entries and whether one of them is located.
local function summary(entries)
  local largest, located = 0, 0
  for k = @PAGE_ENTRY@, #entries, @PAGE_ENTRY@ do
    local top, last = unpack('<I6I1', entries, k - 6)
    if top > largest then largest = top end
    if last > 0 then located = 1 end
  end
  return pack('<I6I1', largest, located)
end
