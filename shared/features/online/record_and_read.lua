-- Record one transaction of a card and read its aggregates, as one atomic step. Rendered from the catalogue by
-- script.py; layout.py says what the keys hold.
--
-- KEYS[1]  prefix of the card's keys.
-- ARGV     id with its kind, head (event time, amount, latitude, longitude), then the texts, '' for unknown.
-- Reply    little-endian doubles: status, then the aggregates; for a conflict the first version's head and texts follow.
--
-- All input is validated by the caller and nothing fails after the first write: a script is atomic but not rolled back.
local unpack_list = unpack
local call, find, sub, byte, unpack, pack, floor =
  redis.call, string.find, string.sub, string.byte, struct.unpack, struct.pack, math.floor
local START, RECORD, CHUNK, VERSION = @START@, @RECORD@, @RECORD@ * 8192, @VERSION@
local DAY, RETENTION = 86400000, @RETENTION@
local prefix = KEYS[1]
local id, head = ARGV[1], ARGV[2]
local log = call('GET', prefix .. ':l')
local large = log and byte(log) == 76
local heap = not large and call('GET', prefix .. ':s')
local fresh = not (log and (large or heap))
if fresh then log, heap = 'S0\0\0\0', '\0' end
local bytes = #log
local t, amount = unpack('<I6I6', head)
-- Newest event time outside the log; the rest is for large cards.
local sealed_newest, runs, bucket, bucket_field, noted, by_code = -1, 0, nil, nil, nil, nil

-- References of the transaction's texts: 0 unknown, -1 not known to the card yet. Then the record of a repeated id.
local status, newest, first, version, id_ref = 0, t, 0, nil, nil
@TEXTS@
if large then
  runs = byte(log, 2) - 48
  sealed_newest = unpack('<I6', call('GETRANGE', prefix .. ':x', 8, 13))
  noted = call('HMGET', prefix .. ':k', '#', @TEXT_FIELDS@)
  @LOCATE_NOTED@
  bucket_field = tonumber(sub(redis.sha1hex(id), 1, 4), 16) % @BUCKETS@
  bucket = call('HGET', prefix .. ':i', bucket_field) or ''
  local p = find(bucket, string.char(#id) .. id, 1, true) and 1 or #bucket + 1
  while p <= #bucket do
    local length = byte(bucket, p)
    if sub(bucket, p + 1, p + length) == id then version = sub(bucket, p + length + 1, p + length + RECORD) end
    p = p + 1 + length + RECORD
  end
else
  @LOCATE_TEXTS@
  id_ref = find(heap, '\0' .. id .. '\0', 1, true)
  if id_ref then
    id_ref = id_ref + 1
    for p = START, bytes, RECORD do
      if unpack('<I3', log, p + VERSION) == id_ref then first, version = p, sub(log, p, p + RECORD - 1) end
    end
  end
end
if version then
  local known, at = sealed_newest, unpack('<I6', version)
  for p = START, bytes, RECORD do
    local ti = unpack('<I6', log, p)
    if ti > known then known = ti end
  end
  if at >= known - known % DAY - RETENTION then
    status, newest = 1, known
    if sub(version, 1, VERSION) ~= head .. pack('<@REF_FORMAT@', @REFS@) then
      status, t = 2, at
      amount, @REFS@ = unpack('<xxxxxxI6xxxxxxxx@REF_FORMAT@', version)
      if large then
        -- Texts are found by name; by number only here, for a conflict is rare.
        by_code = {}
        local all = call('HGETALL', prefix .. ':k')
        for k = 1, #all, 2 do
          if byte(all[k]) ~= 35 then by_code[unpack('<I3', all[k + 1])] = {sub(all[k], 2), all[k + 1]} end
        end
      end
    end
  else
    version, first = nil, 0
  end
end
if status == 0 then
  if bytes >= START then
    local last = unpack('<I6', log, bytes - RECORD + 1)
    if last > newest then newest = last end
  end
  if sealed_newest > newest then newest = sealed_newest end
elseif large then
  -- Which record of the log is the transaction itself, if it is still there.
  local p = find(log, version, START, true)
  while p and (p - START) % RECORD ~= 0 do p = find(log, version, p + 1, true) end
  first = p or 0
end

-- The horizon follows from the newest event time. A pass that meets a newer one than assumed is done again.
local horizon = newest - newest % DAY - RETENTION
local assumed, dead
@DECLARE@
repeat
  assumed, dead = horizon, 0
  @RESET@
  for chunk = START, bytes, CHUNK do
    local stop = chunk + CHUNK - 1
    if stop > bytes then stop = bytes end
    if large then
      @SCAN_LARGE@
    else
      @SCAN_SMALL@
    end
    @CARRY@
  end
  horizon = newest - newest % DAY - RETENTION
until horizon == assumed
@TOTAL@

if status == 0 and t < horizon then
  status = 3
  @RESET@
elseif large then
  @READ_LARGE@
end
if status == 0 or status == 3 then
  @ADD_OWN@
end
@ADD_OWN_TEXTS@

local reply = pack('<@REPLY_FORMAT@', status@REPLY@)
if status == 2 then
  reply = reply .. sub(version, 1, 20)
  local refs = {@REFS@}
  for k = 1, #refs do
    local ref, text = refs[k], ''
    if ref > 0 then
      if large then
        text = by_code[ref][1]
      else
        text = sub(heap, ref + 1, find(heap, '\0', ref, true) - 1)
      end
    end
    reply = reply .. text .. '\0'
  end
end
if status ~= 0 then return reply end

local ttl = 0
if large then
  @RECORD_LARGE@
  ttl = call('PTTL', prefix .. ':l')
else
  local texts, length = '', #heap
  if not id_ref then
    id_ref = length + 1
    texts = id .. '\0'
  end
  @STORE_TEXTS@
  local record = head .. pack('<@REF_FORMAT@I3', @REFS@, id_ref)
  local count = (bytes - START + 1) / RECORD
  if fresh then
    call('SET', prefix .. ':l', log .. record)
    call('SET', prefix .. ':s', heap .. texts)
  elseif dead > 16 and dead * 4 > count or count + 1 >= @SMALL@ or length + #texts > @HEAP@ then
    log, heap = log .. record, heap .. texts
    if (count + 1 - dead) * 4 > @SMALL@ * 3 or dead * 4 < count then
      @PROMOTE@
    else
      -- Write the log again without what lies before the horizon, and the heap with what is still referred to.
      local records, entries, refs, size = {'S0\0\0\0'}, {'\0'}, {}, 1
      for p = START, #log, RECORD do
        if unpack('<I6', log, p) >= horizon then
          local moved = {unpack('<@REF_FORMAT@I3', log, p + 20)}
          for k = 1, @REF_COUNT@ do
            local old = moved[k]
            if old > 0 and not refs[old] then
              local entry = sub(heap, old, find(heap, '\0', old, true))
              entries[#entries + 1] = entry
              refs[old] = size + 1
              size = size + #entry
            end
            moved[k] = refs[old] or 0
          end
          records[#records + 1] = sub(log, p, p + 19) .. pack('<@REF_FORMAT@I3', @MOVED@)
        end
      end
      call('SET', prefix .. ':l', table.concat(records))
      call('SET', prefix .. ':s', table.concat(entries))
    end
  else
    call('APPEND', prefix .. ':l', record)
    if texts ~= '' then call('APPEND', prefix .. ':s', texts) end
    ttl = call('PTTL', prefix .. ':l')
  end
end
if ttl < @TTL_REFRESH@ then
  @REFRESH@
end
return reply
