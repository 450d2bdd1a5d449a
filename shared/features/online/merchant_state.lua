local call, find, sub, byte, unpack, pack = redis.call, string.find, string.sub, string.byte, struct.unpack, struct.pack
local HEAD, ENTRY, DIGEST, LABEL, MEMORY = @HEAD@, @ENTRY@, @DIGEST@, @LABEL@, @MEMORY@
local prefix, digest, field, day, days

-- Turn to a transaction: the prefix of its merchant's keys, the digest of its card and id, its UTC day as text.
local function open(merchant, transaction, on)
  prefix, digest, field = merchant, transaction, on
  day = tonumber(field)
  days = call('GET', prefix .. ':s') or string.rep('\0', HEAD)
end

-- Where an entry of a list begins whose digest is this one, from a position on.
local function position(list, from, width)
  local p = find(list, digest, from, true)
  while p and (p - 1) % width ~= 0 do p = find(list, digest, p + 1, true) end
  return p
end

-- The transaction's labels of a list, as numbers that sort by label time and, at one label time, fraud last.
local function labels_in(list)
  local labels, p = {}, position(list, 1, LABEL)
  while p do
    local time, fraud = unpack('<I6I1', list, p + DIGEST)
    labels[#labels + 1] = time * 2 + fraud
    p = position(list, p + LABEL, LABEL)
  end
  return labels
end

-- At which times labels change what the transaction is taken for, and what it is taken for in the end.
local function changes_of(labels)
  table.sort(labels)
  local changes, fraud = {}, 0
  for k = 1, #labels do
    local time = math.floor(labels[k] / 2)
    if k == #labels or math.floor(labels[k + 1] / 2) ~= time then
      local says = labels[k] % 2
      if says ~= fraud then changes[time] = says - fraud end
      fraud = says
    end
  end
  return changes, fraud
end

-- Replace the noted changes of the transaction. What every reader of its day knows is not noted.
local function note(old, new)
  local always, latest, first = (day + @DELAY@ + 1) * 86400000, unpack('<I6', days), days
  local function member(time, change) return pack('<I3i1', day, change) .. digest .. pack('<I6', time) end
  for time, change in pairs(old) do
    if time > always and new[time] ~= change then call('ZREM', prefix .. ':z', member(time, change)) end
  end
  for time, change in pairs(new) do
    if time > always and old[time] ~= change then
      call('ZADD', prefix .. ':z', string.format('%.0f', time), member(time, change))
      if time > latest then latest = time end
    end
  end
  if latest > unpack('<I6', days) then
    days = pack('<I6', latest) .. sub(days, HEAD + 1)
    call('SETRANGE', prefix .. ':s', 0, sub(days, 1, HEAD))
  end
end

-- Count transactions and frauds of the day, which makes its entry if there is none.
local function count(transactions, frauds)
  local p = #days + 1
  while p > HEAD + 1 and unpack('<I3', days, p - ENTRY) >= day do p = p - ENTRY end
  local before_t, before_f = 0, 0
  if p > HEAD + 1 then before_t, before_f = unpack('<I4I4', days, p - ENTRY + 3) end
  local tail = {}
  if p > #days or unpack('<I3', days, p) > day then
    tail[1] = pack('<I3I4I4', day, before_t + transactions, before_f + frauds)
  end
  for q = p, #days, ENTRY do
    local at, t, f = unpack('<I3I4I4', days, q)
    tail[#tail + 1] = pack('<I3I4I4', at, t + transactions, f + frauds)
  end
  tail = table.concat(tail)
  call('SETRANGE', prefix .. ':s', p - 1, tail)
  days = sub(days, 1, p - 1) .. tail
end

-- Keys expire together, long after the merchant's last transaction or label.
local function keep()
  local new = call('PTTL', prefix .. ':l') == -1 or call('PTTL', prefix .. ':z') == -1
  if not new and call('PTTL', prefix .. ':s') >= @TTL_REFRESH@ then return end
  for _, key in ipairs({':s', ':d', ':l', ':z'}) do call('PEXPIRE', prefix .. key, @TTL@) end
  for p = HEAD + 1, #days, ENTRY do call('PEXPIRE', prefix .. ':d' .. unpack('<I3', days, p), @TTL@) end
end
