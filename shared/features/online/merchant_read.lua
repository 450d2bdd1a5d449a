-- read(prefix of a merchant's keys, event time u6): as little-endian doubles, its transactions and frauds on the whole
-- days of every window, as of that time. Rendered from the catalogue by merchant.py, which says what the keys hold.
local unpack, pack, floor = struct.unpack, struct.pack, math.floor
local days

-- Running numbers at the end of a day, from the first `high` entries; then how many of these are not later.
local function until_end_of(day, high)
  local low = 0
  while low < high do
    local middle = floor((low + high + 1) / 2)
    if unpack('<I3', days, middle * @ENTRY@ + @HEAD@ - @ENTRY@ + 1) <= day then low = middle else high = middle - 1 end
  end
  if low == 0 then return 0, 0, 0 end
  local transactions, frauds = unpack('<I4I4', days, low * @ENTRY@ + @HEAD@ - @ENTRY@ + 4)
  return transactions, frauds, low
end

local function read(prefix, at)
  days = redis.call('GET', prefix .. ':s')
  if not days then return '@NOTHING@' end
  local t = unpack('<I6', at)
  local last = floor(t / 86400000) - @DELAY@ - 1
  local transactions, frauds, place = until_end_of(last, (#days - @HEAD@) / @ENTRY@)
  if place == 0 then return '@NOTHING@' end
  @WINDOWS@

  -- The running numbers hold all labels; those that became known after t are taken out again.
  if t < unpack('<I6', days) then
    local oldest = unpack('<I3', days, #days - @ENTRY@ + 1) - @MEMORY@
    local later = redis.call('ZRANGEBYSCORE', prefix .. ':z', string.format('(%.0f', t), '+inf')
    for k = 1, #later do
      local day, change = unpack('<I3i1', later[k])
      if day >= oldest and day <= last then
        @TAKE_OUT@
      end
    end
  end
  return pack('<@FORMAT@', @REPLY@)
end
