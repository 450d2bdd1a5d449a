-- What a large card knows of texts and ids.
local fields, changed = {}, {}
local counter
local horizon_day = floor(horizon / DAY)

-- The days a text was seen on: day, first and last millisecond of the day, and how often at the first one.
local function seen_on(entry, at)
  local day, ms = floor(at / DAY), at % DAY
  local p = #entry - 11
  while p > 3 and unpack('<I3', entry, p) > day do p = p - 12 end
  local kept = 4
  while kept <= #entry and unpack('<I3', entry, kept) < horizon_day do kept = kept + 12 end
  if p > 3 and unpack('<I3', entry, p) == day then
    local _, from, upto, often = unpack('<I3I4I4I1', entry, p)
    if ms < from then from, often = ms, 1 elseif ms == from and often < 255 then often = often + 1 end
    if ms > upto then upto = ms end
    return sub(entry, 1, 3) .. sub(entry, kept, p - 1) .. pack('<I3I4I4I1', day, from, upto, often) .. sub(entry, p + 12)
  end
  return sub(entry, 1, 3) .. sub(entry, kept, p + 11) .. pack('<I3I4I4I1', day, ms, ms, 1) .. sub(entry, p + 12)
end

-- The code of a text; new texts get the next number.
local function note(kind, text, at, dated)
  if text == '' then return 0 end
  local field = kind .. text
  local entry = fields[field]
  if not entry then
    counter = (counter or tonumber(call('HGET', prefix .. ':k', '#'))) + 1
    entry = pack('<I3', counter)
    changed['#'] = counter
  end
  local code = unpack('<I3', entry)
  if dated then entry = seen_on(entry, at) end
  if entry ~= fields[field] then fields[field], changed[field] = entry, entry end
  return code
end

-- A bucket with one more entry, without those before the horizon.
local function remember(entry, known)
  local kept, p = {}, 1
  while p <= #known do
    local length = 1 + byte(known, p) + @VERSION@
    if unpack('<I6', known, p + length - @VERSION@) >= horizon then kept[#kept + 1] = sub(known, p, p + length - 1) end
    p = p + length
  end
  kept[#kept + 1] = entry
  return table.concat(kept)
end
