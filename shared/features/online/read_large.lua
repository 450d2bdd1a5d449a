-- What a large card's blocks say of the windows. A place is the number of a page, of a block in it, of a row in that.
buckets = unpack('<I3', log, 12)
pages = (#log - @ROOT_HEAD@) / @ROOT_ENTRY@
opened, page_at, times_page = {}, 0, 0

function open(n)
  if page_at ~= n then
    page = opened[n]
    if not page then
      page = call('GET', prefix .. ':p' .. unpack('<I4', log, @ROOT_HEAD@ + n * @ROOT_ENTRY@ - @ROOT_ENTRY@ + 7))
      opened[n] = page
    end
    page_at, blocks = n, #page / @PAGE_ENTRY@
  end
end

-- Ids are in buckets by linear hashing: with every overflow one more bucket takes half of another's.
function bucket_of(id)
  local hash = tonumber(sub(redis.sha1hex(id), 1, 6), 16)
  local _, exponent = math.frexp(buckets)
  local number = hash % 2 ^ exponent
  return number < buckets and number or number - 2 ^ (exponent - 1)
end

function load(n, m)
  open(n)
  if times_page ~= n or times_block ~= m then
    times = call('GET', prefix .. ':t' .. unpack('<I4', page, m * @PAGE_ENTRY@ - @PAGE_ENTRY@ + 7))
    times_page, times_block = n, m
  end
end

local function time(n, m, i)
  load(n, m)
  return unpack('<I6', times, (i - 1) * @MOMENT@ + 1)
end

-- The last record not after T, at or before a place: a place with row 0 when there is none.
function locate(T, n, m, i)
  local low, high = 1, n
  if unpack('<I6', log, @ROOT_HEAD@ + n * @ROOT_ENTRY@ - @ROOT_ENTRY@ + 1) > T then
    high = n - 1
    while low < high do
      local middle = floor((low + high + 1) / 2)
      if unpack('<I6', log, @ROOT_HEAD@ + middle * @ROOT_ENTRY@ - @ROOT_ENTRY@ + 1) <= T then
        low = middle
      else
        high = middle - 1
      end
    end
    n, m, i = low, nil, nil
  end
  open(n)
  low, high = 1, m or blocks
  if not m or unpack('<I6', page, m * @PAGE_ENTRY@ - @PAGE_ENTRY@ + 1) > T then
    if m then high = m - 1 end
    while low < high do
      local middle = floor((low + high + 1) / 2)
      if unpack('<I6', page, middle * @PAGE_ENTRY@ - @PAGE_ENTRY@ + 1) <= T then low = middle else high = middle - 1 end
    end
    m, i = low, nil
    if m == 1 and unpack('<I6', page) > T then return n, 1, 0 end
  end
  load(n, m)
  low, high = 1, i or #times / @MOMENT@
  if unpack('<I6', times, (high - 1) * @MOMENT@ + 1) <= T then return n, m, high end
  high = high - 1
  while low < high do
    local middle = floor((low + high + 1) / 2)
    if unpack('<I6', times, (middle - 1) * @MOMENT@ + 1) <= T then low = middle else high = middle - 1 end
  end
  return n, m, low
end

local function previous(n, m, i)
  if i > 1 then return n, m, i - 1 end
  if m > 1 then
    m = m - 1
  elseif n > 1 then
    n = n - 1
    open(n)
    m = blocks
  else
    return 1, 1, 0
  end
  load(n, m)
  return n, m, #times / @MOMENT@
end

function row(n, m, i, from, upto)
  open(n)
  local start = (i - 1) * @ROW@
  return call('GETRANGE', prefix .. ':b' .. unpack('<I4', page, m * @PAGE_ENTRY@ - @PAGE_ENTRY@ + 7), start + from, start + upto)
end

-- Over all records up to a place: number, sum (2 limbs), sum of squares (3), nights; its row may be known.
function before(n, m, i, known)
  open(n)
  local rank, sum_hi, sum, squares_top, squares_hi, squares, night =
    unpack('<@ROOT_BASE@', log, @ROOT_HEAD@ + n * @ROOT_ENTRY@ - @ROOT_ENTRY@ + 11)
  local page_rank, page_sum, page_squares_hi, page_squares, page_night =
    unpack('<@PAGE_BASE@', page, m * @PAGE_ENTRY@ - @PAGE_ENTRY@ + 11)
  if i > 0 then
    local row_sum, row_squares_hi, row_squares, row_night = unpack('<@RUNNING@', known or row(n, m, i, @VALUES@, @ROW@ - 1), known and @VALUES@ + 1 or 1)
    page_sum, page_squares_hi, page_squares, page_night =
      page_sum + row_sum, page_squares_hi + row_squares_hi, page_squares + row_squares, page_night + row_night
  end
  return rank + page_rank + i, sum_hi, sum + page_sum, squares_top, squares_hi + page_squares_hi, squares + page_squares,
    night + page_night
end

-- How many records of the moment t there are, when the last of them is known.
local function number_of_moment()
  local first_n, first_m, first_i = locate(t - 1, n, m, i)
  return (before(n, m, i)) - (before(first_n, first_m, first_i))
end

local function largest_of_rows(n, m, i, j, best)
  open(n)
  local rows = call('GETRANGE', prefix .. ':b' .. unpack('<I4', page, m * @PAGE_ENTRY@ - @PAGE_ENTRY@ + 7), (i - 1) * @ROW@, j)
  for p = 1, #rows, @ROW@ do
    local a = unpack('<I6', rows, p)
    if a > best then best = a end
  end
  return best
end

-- Largest amount after one place and up to another.
local function largest_between(n, m, i, n2, m2, i2, best, known)
  if n > n2 or n == n2 and (m > m2 or m == m2 and i >= i2) then return best end
  if n == n2 and m == m2 then return largest_of_rows(n, m, i + 1, i2 * @ROW@ - 1, best) end
  local top = unpack('<I6', known or row(n2, m2, i2, 0, @ROW@ - 1), @ROW@ - 6)
  if top > best then best = top end
  local from = m
  if n < n2 then
    from = 0
    for k = n + 1, n2 - 1 do
      top = unpack('<I6', log, @ROOT_HEAD@ + k * @ROOT_ENTRY@ - 6)
      if top > best then best = top end
    end
  end
  open(n2)
  for k = from + 1, m2 - 1 do
    top = unpack('<I6', page, k * @PAGE_ENTRY@ - 6)
    if top > best then best = top end
  end
  if n < n2 then
    if unpack('<I6', log, @ROOT_HEAD@ + n * @ROOT_ENTRY@ - 6) <= best then return best end
    open(n)
    for k = m + 1, blocks do
      top = unpack('<I6', page, k * @PAGE_ENTRY@ - 6)
      if top > best then best = top end
    end
  end
  open(n)
  if unpack('<I6', page, m * @PAGE_ENTRY@ - 6) > best then best = largest_of_rows(n, m, i + 1, -1, best) end
  return best
end

-- Time and place of the latest located record up to a place; of several at one moment the first recorded.
local function located_at(n, m, i, known)
  local k = i > 0 and byte(known or row(n, m, i, 0, @ROW@ - 1), @ROW@) or 0
  while k == 0 do
    m = m - 1
    if m == 0 then
      repeat n = n - 1 until n == 0 or byte(log, @ROOT_HEAD@ + n * @ROOT_ENTRY@) > 0
      if n == 0 then return -1, 0, 0 end
      open(n)
      m = blocks
    end
    open(n)
    k = byte(page, m * @PAGE_ENTRY@)
  end
  local at = time(n, m, k)
  if at == unpack('<I6', times) then
    local n2, m2, i2 = previous(n, m, 1)
    if i2 > 0 and time(n2, m2, i2) == at then
      local earlier, latitude, longitude = located_at(n2, m2, i2)
      if earlier == at then return earlier, latitude, longitude end
    end
  end
  return at, unpack('<i4i4', row(n, m, k, 6, 13))
end

bucket_field = bucket_of(id)
noted = call('HMGET', prefix .. ':k', bucket_field, @TEXT_FIELDS@)
bucket = noted[1] or ''
@LOCATE_NOTED@
if find(bucket, string.char(#id) .. id, 1, true) then
  local p = 1
  while p <= #bucket do
    local length = byte(bucket, p)
    if sub(bucket, p + 1, p + length) == id then version = sub(bucket, p + length + 1, p + length + @VERSION@) end
    p = p + 1 + length + @VERSION@
  end
end

open(pages)
load(pages, blocks)
local known = unpack('<I6', times, #times - @MOMENT@ + 1)
append_row = t >= known
if append_row then n, m, i = pages, blocks, #times / @MOMENT@ else n, m, i = locate(t, pages, blocks, #times / @MOMENT@) end
cut_before = unpack('<I6', log, 6)
local function horizon_of(newest)
  local remembered = newest - newest % DAY - RETENTION
  return remembered > cut_before and remembered or cut_before
end
if version then
  local at = unpack('<I6', version)
  if at >= horizon_of(known) then
    status, newest = 1, known
    if sub(version, 1, -@TIED@ - 1) ~= head .. pack('<@REF_FORMAT@', @REFS@) then
      status, t = 2, at
      amount, @REFS@ = unpack('<xxxxxxI6xxxxxxxx@REF_FORMAT@', version)
      -- Texts are found by name; by number only here, for a conflict is rare.
      by_code = {}
      local all = call('HGETALL', prefix .. ':k')
      for k = 1, #all, 2 do
        if byte(all[k]) > 57 then by_code[unpack('<I3', all[k + 1])] = {sub(all[k], 2), all[k + 1]} end
      end
      open(pages)
      load(pages, blocks)
      n, m, i = locate(t, pages, blocks, #times / @MOMENT@)
    end
  else
    version = nil
  end
end
if status == 0 and known > newest then newest = known end
horizon = horizon_of(newest)
if cut_before == horizon and cut_before > t - @LONGEST@ + 1 then cut = 8 end
@RESET@
if status == 0 and t < horizon then
  status = 3
else
  -- The transaction itself, where it was recorded before, and the record before it.
  local own_n, own_m, own_i, others_n, others_m, others_i = 0, 0, 0, n, m, i
  if status ~= 0 then
    local values, codes = sub(version, 7, 20), ''@CODES_OF_VERSION@
    local function is_own()
      load(own_n, own_m)
      return sub(times, (own_i - 1) * @MOMENT@ + 7, own_i * @MOMENT@) == codes
        and row(own_n, own_m, own_i, 0, @VALUES@ - 1) == values
    end
    own_n, own_m, own_i = n, m, i
    others_n, others_m, others_i = previous(n, m, i)
    if others_i > 0 and time(others_n, others_m, others_i) == t then
      for _ = 1, number_of_moment() - 1 - unpack('<I@TIED@', version, @VERSION@ - @TIED@ + 1) do
        own_n, own_m, own_i = previous(own_n, own_m, own_i)
      end
      -- Of a moment cut in two for want of room the numbers have moved.
      if not is_own() then own_n, own_m, own_i = n, m, i end
    end
    while own_i > 0 and not is_own() do
      own_n, own_m, own_i = previous(own_n, own_m, own_i)
    end
    if own_i == 0 then error('a transaction of ' .. prefix .. ' is known by its id and not among its records') end
  elseif i > 0 and time(n, m, i) == t then
    tied = math.min(number_of_moment(), 65535)
  end
  if i > 0 then last_row = row(n, m, i, 0, @ROW@ - 1) end
  local rank, sum_hi, sum, squares_top, squares_hi, squares, night = before(n, m, i, last_row)
  local from_n, from_m, from_i = n, m, i
  local from_rank, from_sum_hi, from_sum, from_squares_top, from_squares_hi, from_squares, from_night =
    rank, sum_hi, sum, squares_top, squares_hi, squares, night
  @READ_WINDOWS@
  @READ_PLACES@
  @READ_DISTINCT@
  @READ_MET@
end
