-- A small card becomes large: its texts and ids are noted, its records are sorted into blocks.
@NOTE_FUNCTIONS@
@ENCODE@
@ENTRIES@
counter = 0
local sorted, ties = {}, {}
local number_of_buckets = 2 ^ math.ceil(math.log((bytes + 1) / @BUCKET@) / math.log(2) + 1)
if number_of_buckets < 1 then number_of_buckets = 1 end
local function keep(name, at, full)
  local field = tonumber(sub(redis.sha1hex(name), 1, 6), 16) % number_of_buckets
  changed[field] = (changed[field] or '') .. pack('<I1', #name) .. name .. full .. pack('<I@TIED@', ties[at] or 0)
  ties[at] = (ties[at] or 0) + 1
  local k = #sorted
  while k > 0 and unpack('<I6', sorted[k]) > at do
    sorted[k + 1] = sorted[k]
    k = k - 1
  end
  sorted[k + 1] = sub(full, 1, 20)@CODES_OF_FULL@
end
local function text_at(ref)
  if ref == 0 then return '' end
  return sub(heap, ref + 1, find(heap, '\0', ref, true) - 1)
end
for p = 2, bytes, @RECORD@ do
  local at, @LIST_REFS@, named = unpack('<I6xxxxxxxxxxxxxx@SMALL_REF_FORMAT@I2', log, p)
  if at >= horizon then
    local full = sub(log, p, p + 19) .. pack('<@REF_FORMAT@', @NOTE_REFS@)
    @COUNT_PROMOTED@
    keep(sub(heap, named, find(heap, '\0', named, true) - 1), at, full)
  end
end
local full = head .. pack('<@REF_FORMAT@', @NOTE_OWN@)
@COUNT_OWN@
keep(id, t, full)
changed['#'] = counter
local written = {}
for field, value in pairs(changed) do
  written[#written + 1] = field
  written[#written + 1] = value
  if #written >= 1000 then
    call('HSET', prefix .. ':k', unpack_list(written))
    written = {}
  end
end
call('HSET', prefix .. ':k', unpack_list(written))

local root, entries, numbers = {}, {}, 0
local rank, sum, squares_hi, squares, night = 0, 0, 0, 0, 0
local page_rank, page_sum, page_squares_hi, page_squares, page_night = 0, 0, 0, 0, 0
local function number_of(kind, value)
  numbers = numbers + 1
  call('SET', prefix .. kind .. numbers, value, 'PX', @TTL@)
  return pack('<I4', numbers)
end
local function close_page()
  local closed = table.concat(entries)
  root[#root + 1] = sub(closed, 1, 6) .. number_of(':p', closed)
    .. root_base(page_rank, 0, page_sum, 0, page_squares_hi, page_squares, page_night) .. summary(closed)
  entries = {}
  page_rank, page_sum, page_squares_hi, page_squares, page_night = rank, sum, squares_hi, squares, night
end
for from = 1, #sorted, @BLOCK@ do
  if #entries == @PAGE@ then close_page() end
  local items = {unpack_list(sorted, from, math.min(from + @BLOCK@ - 1, #sorted))}
  local encoded_times, rows, block_sum, block_squares_hi, block_squares, block_night, largest, located =
    encode(items, 0, 0, 0, 0, 0, 0, 0, 0)
  local number = number_of(':b', rows)
  call('SET', prefix .. ':t' .. numbers, encoded_times, 'PX', @TTL@)
  entries[#entries + 1] = sub(items[1], 1, 6) .. number
    .. page_base(rank - page_rank, sum - page_sum, squares_hi - page_squares_hi, squares - page_squares, night - page_night)
    .. pack('<I6I1', largest, located)
  rank, sum, squares_hi, squares, night =
    rank + #items, sum + block_sum, squares_hi + block_squares_hi, squares + block_squares, night + block_night
end
close_page()
call('SET', prefix .. ':l', 'L' .. pack('<I4I6I3', numbers + 1, 0, number_of_buckets) .. table.concat(root))
call('DEL', prefix .. ':s')
