-- Bookkeeping of a large card: what texts and ids it knows, and sealing its log.
local fields, changed, buckets = {}, {}, {}
local counter
local horizon_day = horizon / DAY

-- The days a text was seen on: day, first and last millisecond of the day, and how often at the first one.
local function seen_on(entry, at)
  local day, ms = floor(at / DAY), at % DAY
  local p = #entry - 11
  while p > 3 and unpack('<I3', entry, p) > day do p = p - 12 end
  local kept = 4
  while kept <= #entry and unpack('<I3', entry, kept) < horizon_day do kept = kept + 12 end
  local start, now = sub(entry, 1, 3), nil
  if p > 3 and unpack('<I3', entry, p) == day then
    local _, from, upto, often = unpack('<I3I4I4I1', entry, p)
    if ms < from then from, often = ms, 1 elseif ms == from and often < 255 then often = often + 1 end
    if ms > upto then upto = ms end
    now = pack('<I3I4I4I1', day, from, upto, often)
    return start .. sub(entry, kept, p - 1) .. now .. sub(entry, p + 12)
  end
  now = pack('<I3I4I4I1', day, ms, ms, 1)
  return start .. sub(entry, kept, p + 11) .. now .. sub(entry, p + 12)
end

-- The code of a text; new texts get the next number.
local function note(kind, text, at, dated)
  if text == '' then return 0 end
  local field = kind .. text
  local entry = fields[field]
  if not entry then
    counter = counter + 1
    entry = pack('<I3', counter)
    changed['#'] = counter
  end
  local code = unpack('<I3', entry)
  if dated then entry = seen_on(entry, at) end
  if entry ~= fields[field] then fields[field], changed[field] = entry, entry end
  return code
end

-- A bucket with one more entry, without those before the horizon. The first to arrive is mostly the first to go.
local function remember(entry, known)
  if known == '' or entry ~= '' and unpack('<I6', known, byte(known) + 2) >= horizon then return known .. entry end
  local kept, p = {}, 1
  while p <= #known do
    local length = 1 + byte(known, p) + RECORD
    if unpack('<I6', known, p + length - RECORD) >= horizon then kept[#kept + 1] = sub(known, p, p + length - 1) end
    p = p + length
  end
  kept[#kept + 1] = entry
  return table.concat(kept)
end

local function write_hash(name, values)
  local arguments = {}
  for field, value in pairs(values) do
    arguments[#arguments + 1] = field
    arguments[#arguments + 1] = value
    if #arguments >= 1000 then
      call('HSET', prefix .. name, unpack_list(arguments))
      arguments = {}
    end
  end
  if #arguments > 0 then call('HSET', prefix .. name, unpack_list(arguments)) end
end

local function bucket_of(text)
  return tonumber(sub(redis.sha1hex(text), 1, 4), 16) % @BUCKETS@
end

-- Append sorted items to a sequence: event time, amount, place, the codes that are counted, and the number of the arrival.
local function append(name, items)
  local sequence = prefix .. ':' .. name
  local index = call('GET', sequence .. 'x') or string.rep('\0', @INDEX_HEAD@)
  local first_block, total, latest, sum_hi, sum, squares_top, squares_hi, squares, night, located, located_time =
    unpack('<@INDEX_FORMAT@', index)
  local number, entries, tops = first_block + (#index - @INDEX_HEAD@) / 10, {sub(index, @INDEX_HEAD@ + 1)}, {}
  for from = 1, #items, @BLOCK@ do
    local times, rows, largest = {}, {}, 0
    entries[#entries + 1] = sub(items[from], 1, 6) .. pack('<I4', total)
    for k = from, math.min(from + @BLOCK@ - 1, #items) do
      local item = items[k]
      local at, a, latitude = unpack('<I6I6i4', item)
      total, latest = total + 1, at
      sum = sum + a
      if sum >= 1099511627776 then sum_hi, sum = sum_hi + 1, sum - 1099511627776 end
      @ADD_SQUARE@
      if squares >= 1099511627776 then
        local carried = floor(squares / 1099511627776)
        squares_hi, squares = squares_hi + carried, squares - carried * 1099511627776
      end
      if squares_hi >= 1099511627776 then
        local carried = floor(squares_hi / 1099511627776)
        squares_top, squares_hi = squares_top + carried, squares_hi - carried * 1099511627776
      end
      @ADD_NIGHT@
      if a > largest then largest = a end
      if latitude ~= @NOWHERE@ and (located == 0 or at > located_time) then located, located_time = total, at end
      times[#times + 1] = sub(item, 1, 6)
      rows[#rows + 1] = sub(item, 7)
        .. pack('<I4I5I4I5I5I4I6I4', sum_hi, sum, squares_top, squares_hi, squares, night, largest, located)
    end
    call('SET', sequence .. 'b' .. number, table.concat(times) .. table.concat(rows), 'PX', @TTL@)
    number = number + 1
    tops[#tops + 1] = pack('<I6', largest)
  end
  local start = pack('<@INDEX_FORMAT@', first_block, total, latest, sum_hi, sum, squares_top, squares_hi, squares, night,
    located, located_time)
  call('SET', sequence .. 'x', start .. table.concat(entries), 'PX', @TTL@)
  call('APPEND', sequence .. 'y', table.concat(tops))
  call('PEXPIRE', sequence .. 'y', @TTL@)
end

-- Take all items out of a sequence and delete it.
local function dissolve(name)
  local sequence, items = prefix .. ':' .. name, {}
  local index = call('GET', sequence .. 'x')
  local first_block, total = unpack('<I4I4', index)
  local blocks = (#index - @INDEX_HEAD@) / 10
  for b = 1, blocks do
    local from = unpack('<I4', index, @INDEX_HEAD@ + b * 10 - 3)
    local upto = b < blocks and unpack('<I4', index, @INDEX_HEAD@ + b * 10 + 7) or total
    local block, count = call('GET', sequence .. 'b' .. (first_block + b - 1)), upto - from
    for k = 1, count do
      local p = count * 6 + (k - 1) * @ROW@
      items[#items + 1] = sub(block, k * 6 - 5, k * 6) .. sub(block, p + 1, p + @VALUES@)
    end
    call('DEL', sequence .. 'b' .. (first_block + b - 1))
  end
  call('DEL', sequence .. 'x', sequence .. 'y')
  return items
end

local function merge(older, newer)
  local merged, i, j = {}, 1, 1
  while i <= #older or j <= #newer do
    if j > #newer or i <= #older and unpack('<I6', older[i]) <= unpack('<I6', newer[j]) then
      if unpack('<I6', older[i]) >= horizon then merged[#merged + 1] = older[i] end
      i = i + 1
    else
      merged[#merged + 1] = newer[j]
      j = j + 1
    end
  end
  return merged
end

-- Forget what lies before the horizon: whole blocks, and on each call a share of the ids and texts. A sequence keeps one
-- record before the horizon, so that no window reaches before its first.
local function trim_sequence(name)
  local sequence = prefix .. ':' .. name
  local index = call('GET', sequence .. 'x')
  local first_block, blocks, gone = unpack('<I4', index), (#index - @INDEX_HEAD@) / 10, 0
  while gone + 1 < blocks and unpack('<I6', index, @INDEX_HEAD@ + gone * 10 + 11) < horizon do
    call('DEL', sequence .. 'b' .. (first_block + gone))
    gone = gone + 1
  end
  if gone > 0 then
    call('SET', sequence .. 'x', pack('<I4', first_block + gone) .. sub(index, 5, @INDEX_HEAD@)
      .. sub(index, @INDEX_HEAD@ + gone * 10 + 1), 'PX', @TTL@)
    call('SET', sequence .. 'y', call('GETRANGE', sequence .. 'y', gone * 6, -1), 'PX', @TTL@)
  end
end

local function trim()
  for number = 0, runs do trim_sequence(number == 0 and '' or number) end
  local sequence, swept, full = prefix .. ':', {}, false
  local turn = call('HINCRBY', sequence .. 'k', '#turn', 1) % (@BUCKETS@ / @SWEEP@) * @SWEEP@
  for n = turn, turn + @SWEEP@ - 1 do
    local known = call('HGET', sequence .. 'i', n)
    if known then
      local kept = remember('', known)
      if kept == '' then call('HDEL', sequence .. 'i', n) elseif #kept < #known then swept[n], full = kept, true end
    end
  end
  if full then write_hash(':i', swept) end
  @TRIM_COUNTED@
  local scanned = call('HSCAN', sequence .. 'k', call('HGET', sequence .. 'k', '#scan') or '0', 'COUNT', 2 * @LOG@)
  for k = 1, #scanned[2], 2 do
    local field, entry = scanned[2][k], scanned[2][k + 1]
    if byte(field) ~= 35 and #entry > 3 and unpack('<I3', entry, #entry - 11) < horizon_day then
      call('HDEL', sequence .. 'k', field)
    end
  end
  call('HSET', sequence .. 'k', '#scan', scanned[1])
end

-- Move the log into the main sequence, sorted; what is older than its end waits, and goes into a run of its own when it is many.
local function seal(log, order)
  local ends = unpack('<I6', call('GETRANGE', prefix .. ':x', 8, 13))
  local in_order, late, waiting = {}, {}, {}
  for p = START, #log, RECORD do
    local at = unpack('<I6', log, p)
    if at >= horizon then
      local item = sub(log, p, p + 19)@ITEM_TEXTS@ .. sub(log, p + VERSION, p + RECORD - 1)
      local sorted = in_order
      if at < ends then
        sorted = late
        waiting[#waiting + 1] = sub(log, p, p + RECORD - 1)
      end
      local k = #sorted
      while k > 0 and unpack('<I6', sorted[k]) > at do
        sorted[k + 1] = sorted[k]
        k = k - 1
      end
      sorted[k + 1] = item
    end
  end
  if #in_order > 0 then append('', in_order) end
  if #late > @LATE@ then
    while runs > 0 and unpack('<I4', call('GETRANGE', prefix .. ':' .. runs .. 'x', 4, 7)) <= 8 * #late do
      late = merge(dissolve(runs), late)
      runs = runs - 1
    end
    runs = runs + 1
    append(runs, late)
    waiting = {}
  end
  call('SET', prefix .. ':l', 'L' .. string.char(48 + runs) .. pack('<I3', order % 16777216) .. table.concat(waiting), 'KEEPTTL')
  trim()
end
