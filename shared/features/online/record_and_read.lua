-- Record one transaction of a card and read its aggregates, as one atomic step. Rendered from the catalogue by script.py.
--
-- KEYS[1]  prefix of the card's keys. <prefix>:l is the log, 'S' and fixed-length records in arrival order;
--          <prefix>:s the heap of texts, a NUL and then kind, text, NUL for each. A reference is the position of the kind.
-- ARGV     id with its kind, head (event time, amount, latitude, longitude), then the texts, '' for unknown.
-- Reply    little-endian doubles: status, then the aggregates; for a conflict the first version's head and texts follow.
--
-- All input is validated by the caller and nothing fails after the first write: a script is atomic but not rolled back.
local call, find, sub, unpack, pack, floor = redis.call, string.find, string.sub, struct.unpack, struct.pack, math.floor
local RECORD, CHUNK, DAY, RETENTION = @RECORD@, @RECORD@ * 8192, 86400000, @RETENTION@
local log_key, heap_key = KEYS[1] .. ':l', KEYS[1] .. ':s'
local id, head = ARGV[1], ARGV[2]
local log, heap = call('GET', log_key), call('GET', heap_key)
local fresh = not (log and heap)
if fresh then log, heap = 'S', '\0' end
local bytes = #log
local t, amount = unpack('<I6I6', head)

-- References of the transaction's texts: 0 unknown, -1 not in the heap yet.
@LOCATE_TEXTS@

-- The first version of a repeated id, if the card still remembers it.
local status, newest, first = 0, t, 0
local id_ref = find(heap, '\0' .. id .. '\0', 1, true)
if id_ref then
  id_ref = id_ref + 1
  local known, at = 0, 0
  for p = 2, bytes, RECORD do
    local ti, ref = unpack('<I6xxxxxxxxxxxxxxI3', log, p)
    if ti > known then known = ti end
    if ref == id_ref then first, at = p, ti end
  end
  if first > 0 and at >= known - known % DAY - RETENTION then
    status, newest = 1, known
    @COMPARE_VERSIONS@
  end
end
if status == 0 and bytes > 1 then
  local last = unpack('<I6', log, bytes - RECORD + 1)
  if last > newest then newest = last end
end

-- The horizon follows from the newest event time. A pass that meets a newer one than assumed is done again.
local horizon = newest - newest % DAY - RETENTION
local assumed, dead
@DECLARE@
repeat
  assumed, dead = horizon, 0
  @RESET@
  for chunk = 2, bytes, CHUNK do
    local stop = chunk + CHUNK - 1
    if stop > bytes then stop = bytes end
    for p = chunk, stop, RECORD do
      @UNPACK@
      if ti > newest then newest = ti end
      @ACCUMULATE@
      elseif ti < horizon then dead = dead + 1 end
    end
    @CARRY@
  end
  horizon = newest - newest % DAY - RETENTION
until horizon == assumed

if status == 0 and t < horizon then
  status = 3
  @RESET@
end
if status == 0 or status == 3 then
  @ADD_OWN@
end
@ADD_OWN_TEXTS@

if status == 0 then
  local texts, length = '', #heap
  if not id_ref then
    id_ref = length + 1
    texts = id .. '\0'
  end
  @STORE_TEXTS@
  if length + #texts > 16777215 then return redis.error_reply('FULL the card has more texts than its log can address') end
  local record = head .. pack('<@REF_FORMAT@', id_ref@REFS@)
  local ttl = 0
  if fresh then
    call('SET', log_key, log .. record)
    call('SET', heap_key, heap .. texts)
  elseif dead > 16 and dead * 4 > (bytes - 1) / RECORD then
    -- Write the log again without what lies before the horizon, and the heap with what is still referred to.
    log, heap = log .. record, heap .. texts
    local records, entries, refs, size = {'S'}, {'\0'}, {}, 1
    for p = 2, #log, RECORD do
      local ti = unpack('<I6', log, p)
      if ti >= horizon then
        local moved = {unpack('<@REF_FORMAT@', log, p + 20)}
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
        records[#records + 1] = sub(log, p, p + 19) .. pack('<@REF_FORMAT@', @MOVED@)
      end
    end
    call('SET', log_key, table.concat(records))
    call('SET', heap_key, table.concat(entries))
  else
    call('APPEND', log_key, record)
    if texts ~= '' then call('APPEND', heap_key, texts) end
    ttl = call('PTTL', log_key)
  end
  if ttl < @TTL_REFRESH@ then
    call('PEXPIRE', log_key, @TTL@)
    call('PEXPIRE', heap_key, @TTL@)
  end
end

local reply = pack('<@REPLY_FORMAT@', status@REPLY@)
if status == 2 then
  reply = reply .. sub(log, first, first + 19)
  local refs = {unpack('<@REF_FORMAT@', log, first + 20)}
  for k = 2, @REF_COUNT@ do
    local ref = refs[k]
    reply = reply .. (ref > 0 and sub(heap, ref + 1, find(heap, '\0', ref, true)) or '\0')
  end
end
return reply
