-- How pages and the root are written when the tree grows.
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

-- Note in the root the numbers that are used.
local function save_number()
  log = sub(log, 1, 1) .. pack('<I4', next_number) .. sub(log, 6)
  call('SETRANGE', prefix .. ':l', 1, pack('<I4', next_number))
end

-- The root with the numbers that are used and other entries in place of one.
local function root_with(n, entries)
  return sub(log, 1, 1) .. pack('<I4', next_number) .. sub(log, 6, @ROOT_HEAD@ + n * @ROOT_ENTRY@ - @ROOT_ENTRY@)
    .. entries .. sub(log, @ROOT_HEAD@ + n * @ROOT_ENTRY@ + 1)
end

-- What the root says of the base of a page's entry.
local function absolute(n, entry)
  local rank, sum_hi, sum, squares_top, squares_hi, squares, night = unpack('<@ROOT_BASE@', root_entry(n), 11)
  local page_rank, page_sum, page_squares_hi, page_squares, page_night = unpack('<@PAGE_BASE@', entry, 11)
  return root_base(rank + page_rank, sum_hi, sum + page_sum, squares_top, squares_hi + page_squares_hi,
    squares + page_squares, night + page_night)
end

