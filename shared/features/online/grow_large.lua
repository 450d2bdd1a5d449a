-- The tree grows: a block at its end, or a row amid others.
local next_number = unpack('<I4', log, 2)

@ENTRIES@
local function page_entry(m) return sub(page, m * @PAGE_ENTRY@ - @PAGE_ENTRY@ + 1, m * @PAGE_ENTRY@) end

local function save_page(n, entries)
  opened[n], page_at = entries, 0
  call('SET', prefix .. ':p' .. unpack('<I4', log, @ROOT_HEAD@ + n * @ROOT_ENTRY@ - @ROOT_ENTRY@ + 7), entries, 'PX', @TTL@)
end

local function save_root(root)
  log = root
  pages = (#log - @ROOT_HEAD@) / @ROOT_ENTRY@
  call('SET', prefix .. ':l', log, 'KEEPTTL')
end

local function root_entry(n) return sub(log, @ROOT_HEAD@ + n * @ROOT_ENTRY@ - @ROOT_ENTRY@ + 1, @ROOT_HEAD@ + n * @ROOT_ENTRY@) end

-- The root with the numbers that are used and one entry in place of, or after, those from n to upto.
local function root_with(n, upto, entry)
  return sub(log, 1, 1) .. pack('<I4', next_number) .. sub(log, 6, @ROOT_HEAD@ + n * @ROOT_ENTRY@ - @ROOT_ENTRY@) .. entry
    .. sub(log, @ROOT_HEAD@ + upto * @ROOT_ENTRY@ + 1)
end

-- What the root says of the base of a page's entry.
local function absolute(n, entry)
  local rank, sum_hi, sum, squares_top, squares_hi, squares, night = unpack('<@ROOT_BASE@', root_entry(n), 11)
  local page_rank, page_sum, page_squares_hi, page_squares, page_night = unpack('<@PAGE_BASE@', entry, 11)
  return root_base(rank + page_rank, sum_hi, sum + page_sum, squares_top, squares_hi + page_squares_hi,
    squares + page_squares, night + page_night)
end

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
  save_root(root_with(n, n, sub(root_entry(n), 1, -8) .. summary(left) .. added))
  save_page(n, left)
  save_page(n + 1, moved)
end

-- A block at the end, with one row. The one before is full: its summary is noted and its strings are made to fit.
local function add_block()
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
    save_root(root_with(n, n, root_entry(n)))
  else
    save_page(n, closed)
    local entry = first .. pack('<I4', next_number) .. absolute(n, first .. pack('<I4', 0) .. base) .. pack('<I6I1', 0, 0)
    next_number = next_number + 1
    save_root(root_with(n, n, sub(root_entry(n), 1, -8) .. summary(closed) .. entry))
    save_page(n + 1, first .. pack('<I4', added) .. page_base(0, 0, 0, 0, 0) .. pack('<I6I1', 0, 0))
  end
end

-- Make two blocks of a full one.
local function split_block()
  local rows = call('GET', prefix .. ':b' .. number)
  local count, items = #times / 6, {}
  local half = floor(count / 2)
  for k = half + 1, count do
    items[#items + 1] = sub(times, k * 6 - 5, k * 6) .. sub(rows, (k - 1) * @ROW@ + 1, (k - 1) * @ROW@ + @VALUES@)
  end
  local left = sub(rows, 1, half * @ROW@)
  local sum, squares_hi, squares, night, largest, located = unpack('<@RUNNING@I6I1', left, #left - @ROW@ + @VALUES@ + 1)
  local entry = page_entry(m)
  local r, s, h, q, d = unpack('<@PAGE_BASE@', entry, 11)
  local base = page_base(r + half, s + sum, h + squares_hi, q + squares, d + night)
  local encoded_times, encoded, _, _, _, _, right_largest, right_located = encode(items, 0, 0, 0, 0, 0, 0, 0, 0)
  local added = next_number
  next_number = next_number + 1
  call('SET', prefix .. ':t' .. number, sub(times, 1, half * 6), 'PX', @TTL@)
  call('SET', prefix .. ':b' .. number, left, 'PX', @TTL@)
  call('SET', prefix .. ':t' .. added, encoded_times, 'PX', @TTL@)
  call('SET', prefix .. ':b' .. added, encoded, 'PX', @TTL@)
  times_page = 0
  save_page(n, sub(page, 1, m * @PAGE_ENTRY@ - @PAGE_ENTRY@) .. sub(entry, 1, -8) .. pack('<I6I1', largest, located)
    .. sub(items[1], 1, 6) .. pack('<I4', added) .. base .. pack('<I6I1', right_largest, right_located)
    .. sub(page, m * @PAGE_ENTRY@ + 1))
  save_root(root_with(n, n, root_entry(n)))
  open(n)
  if blocks > @PAGE@ then split_page(n) end
end

-- A row amid others: the rest of its block is written anew, and all that lies after it has one more before it.
local function insert()
  local rows = call('GET', prefix .. ':b' .. number)
  local sum, squares_hi, squares, night, largest, located, located_time = 0, 0, 0, 0, 0, 0, 0
  if i > 0 then
    sum, squares_hi, squares, night, largest, located = unpack('<@RUNNING@I6I1', rows, i * @ROW@ - @ROW@ + @VALUES@ + 1)
    if located > 0 then located_time = unpack('<I6', times, located * 6 - 5) end
  end
  local _, own, _, _, _, _, block_largest, block_located =
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
  local following = {own}
  for p = i * @ROW@ + 1, #rows, @ROW@ do
    sum, squares_hi, squares, night, largest, located = unpack('<@RUNNING@I6I1', rows, p + @VALUES@)
    squares_hi, squares = squares_hi + square_hi, squares + square
    if squares >= 1099511627776 then squares_hi, squares = squares_hi + 1, squares - 1099511627776 end
    if amount > largest then largest = amount end
    if located > i then located = located + 1 elseif own_located then located = i + 1 end
    following[#following + 1] = sub(rows, p, p + @VALUES@ - 1)
      .. pack('<@RUNNING@I6I1', sum + amount, squares_hi, squares, night + nights, largest, located)
    block_largest, block_located = largest, located
  end
  call('SETRANGE', prefix .. ':t' .. number, i * 6, sub(head, 1, 6) .. sub(times, i * 6 + 1))
  call('SETRANGE', prefix .. ':b' .. number, i * @ROW@, table.concat(following))

  local entry = page_entry(m)
  local entries = {(i == 0 and sub(head, 1, 6) or sub(entry, 1, 6)) .. sub(entry, 7, -8) .. pack('<I6I1', block_largest, block_located)}
  for k = m + 1, blocks do
    entry = page_entry(k)
    local r, s, h, q, d = unpack('<@PAGE_BASE@', entry, 11)
    entries[#entries + 1] = sub(entry, 1, 10)
      .. page_base(r + 1, s + amount, h + square_hi, q + square, d + nights) .. sub(entry, -7)
  end
  local written = sub(page, 1, m * @PAGE_ENTRY@ - @PAGE_ENTRY@) .. table.concat(entries)
  save_page(n, written)
  entries = {sub(root_entry(n), 1, -8) .. summary(written)}
  for k = n + 1, pages do
    entry = root_entry(k)
    local r, s_hi, s, top, h, q, d = unpack('<@ROOT_BASE@', entry, 11)
    entries[#entries + 1] = sub(entry, 1, 10)
      .. root_base(r + 1, s_hi, s + amount, top, h + square_hi, q + square, d + nights) .. sub(entry, -7)
  end
  save_root(root_with(n, pages, table.concat(entries)))
end

if append_row then
  add_block()
  @TRIM@
elseif #times < @BLOCK@ * 6 then
  insert()
else
  split_block()
  open(pages)
  load(pages, blocks)
  n, m, i = locate(t, pages, blocks, #times / 6)
  load(n, m)
  number = unpack('<I4', page, m * @PAGE_ENTRY@ - @PAGE_ENTRY@ + 7)
  insert()
  @TRIM@
end
