-- Bytes of a page's or of the root's entry that say what lies before it.
local function page_base(rank, sum, squares_hi, squares, night)
  local low = squares % 1099511627776
  return pack('<@PAGE_BASE@', rank, sum, squares_hi + (squares - low) / 1099511627776, low, night)
end

local function root_base(rank, sum_hi, sum, squares_top, squares_hi, squares, night)
  local sum_low, low = sum % 1099511627776, squares % 1099511627776
  local high = squares_hi + (squares - low) / 1099511627776
  local high_low = high % 1099511627776
  return pack('<@ROOT_BASE@', rank, sum_hi + (sum - sum_low) / 1099511627776, sum_low,
    squares_top + (high - high_low) / 1099511627776, high_low, low, night)
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
