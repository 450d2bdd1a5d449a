-- Moments and rows of records in order (head, codes of the counted texts), given the running values before
-- them and how many rows they follow. Gives moments, rows, and the running values after them.
local function encode(items, count, sum, squares_hi, squares, night, largest, located, located_time)
  local encoded_times, rows = {}, {}
  for k = 1, #items do
    local at, a, latitude = unpack('<I6I6i4', items[k])
    sum = sum + a
    @ADD_SQUARE@
    if squares >= 1099511627776 then
      local carried = floor(squares / 1099511627776)
      squares_hi, squares = squares_hi + carried, squares - carried * 1099511627776
    end
    if at % DAY < @NIGHT_ENDS@ then night = night + 1 end
    if a > largest then largest = a end
    if latitude ~= @NOWHERE@ and (located == 0 or at > located_time) then located, located_time = count + k, at end
    encoded_times[k] = sub(items[k], 1, 6) .. sub(items[k], 21)
    rows[k] = sub(items[k], 7, 20) .. pack('<@RUNNING@I6I1', sum, squares_hi, squares, night, largest, located)
  end
  return table.concat(encoded_times), table.concat(rows), sum, squares_hi, squares, night, largest, located
end
