-- A row amid others: the rest of its block is written anew, and all that lies after it has one more before it.
local rows = call('GET', prefix .. ':b' .. number)
local sum, squares_hi, squares, night, largest, located, located_time = 0, 0, 0, 0, 0, 0, 0
if i > 0 then
  sum, squares_hi, squares, night, largest, located = unpack('<@RUNNING@I6I1', rows, i * @ROW@ - @ROW@ + @VALUES@ + 1)
  if located > 0 then located_time = unpack('<I6', times, (located - 1) * @MOMENT@ + 1) end
end
local moment, own, _, _, _, _, block_largest, block_located =
  encode({item}, i, sum, squares_hi, squares, night, largest, located, located_time)
local own_located = block_located == i + 1
local square, square_hi = 0, 0
do
  local a, squares, squares_hi = amount, 0, 0
  @ADD_SQUARE@
  square = squares % 1099511627776
  square_hi = squares_hi + (squares - square) / 1099511627776
end
local nights = t % DAY < @NIGHT_ENDS@ and 1 or 0
local parts, size, values = {sub(rows, 1, i * @ROW@), own}, 2, nil
for p = i * @ROW@ + 1, #rows, @ROW@ do
  values, sum, squares_hi, squares, night, largest, located = unpack('<c@VALUES@@RUNNING@I6I1', rows, p)
  squares_hi, squares = squares_hi + square_hi, squares + square
  if squares >= 1099511627776 then squares_hi, squares = squares_hi + 1, squares - 1099511627776 end
  if amount > largest then largest = amount end
  if located > i then located = located + 1 elseif own_located then located = i + 1 end
  size = size + 1
  parts[size] = pack('<c@VALUES@@RUNNING@I6I1', values, sum + amount, squares_hi, squares, night + nights, largest, located)
  block_largest, block_located = largest, located
end
call('SET', prefix .. ':t' .. number, sub(times, 1, i * @MOMENT@) .. moment .. sub(times, i * @MOMENT@ + 1), 'KEEPTTL')
call('SET', prefix .. ':b' .. number, table.concat(parts), 'KEEPTTL')

-- The page from the block's entry on.
local at = (m - 1) * @PAGE_ENTRY@
local first, rank, sum_hi, squares_top, last
parts, size = {i == 0 and sub(head, 1, 6) or sub(page, at + 1, at + 6), sub(page, at + 7, at + @PAGE_ENTRY@ - 7),
  pack('<I6I1', block_largest, block_located)}, 3
for p = at + @PAGE_ENTRY@ + 1, #page, @PAGE_ENTRY@ do
  first, rank, sum, squares_hi, squares, night, last = unpack('<c10@PAGE_BASE@c7', page, p)
  squares_hi, squares = squares_hi + square_hi, squares + square
  if squares >= 1099511627776 then squares_hi, squares = squares_hi + 1, squares - 1099511627776 end
  size = size + 1
  parts[size] = pack('<c10@PAGE_BASE@c7', first, rank + 1, sum + amount, squares_hi, squares, night + nights, last)
end
local written = table.concat(parts)
call('SETRANGE', prefix .. ':p' .. unpack('<I4', log, @ROOT_HEAD@ + (n - 1) * @ROOT_ENTRY@ + 7), at, written)
page = sub(page, 1, at) .. written
opened[n] = page

-- The root from the summary of the page on.
at = @ROOT_HEAD@ + n * @ROOT_ENTRY@ - 7
largest, located = unpack('<I6I1', log, at + 1)
parts, size = {pack('<I6I1', amount > largest and amount or largest, own_located and 1 or located)}, 1
for p = at + 8, #log, @ROOT_ENTRY@ do
  first, rank, sum_hi, sum, squares_top, squares_hi, squares, night, last = unpack('<c10@ROOT_BASE@c7', log, p)
  sum, squares_hi, squares = sum + amount, squares_hi + square_hi, squares + square
  if sum >= 1099511627776 then sum_hi, sum = sum_hi + 1, sum - 1099511627776 end
  if squares >= 1099511627776 then squares_hi, squares = squares_hi + 1, squares - 1099511627776 end
  if squares_hi >= 1099511627776 then squares_top, squares_hi = squares_top + 1, squares_hi - 1099511627776 end
  size = size + 1
  parts[size] = pack('<c10@ROOT_BASE@c7', first, rank + 1, sum_hi, sum, squares_top, squares_hi, squares, night + nights, last)
end
written = table.concat(parts)
call('SETRANGE', prefix .. ':l', at, written)
log = sub(log, 1, at) .. written
