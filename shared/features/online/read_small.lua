heap = call('GET', prefix .. ':s')
fresh = not (log and heap)
if fresh then log, heap = 'S', '\0' end
bytes = #log
local first = 0
@LOCATE_TEXTS@
id_ref = find(heap, '\0' .. id .. '\0', 1, true)
if id_ref then
  id_ref = id_ref + 1
  for p = 2, bytes, @RECORD@ do
    if unpack('<I2', log, p + @VERSION@) == id_ref then first, version = p, sub(log, p, p + @VERSION@ - 1) end
  end
end
if version then
  local known, at = -1, unpack('<I6', version)
  for p = 2, bytes, @RECORD@ do
    local ti = unpack('<I6', log, p)
    if ti > known then known = ti end
  end
  if at >= known - known % DAY - RETENTION then
    status, newest = 1, known
    if version ~= head .. pack('<@REF_FORMAT@', @REFS@) then
      status, t = 2, at
      amount, @REFS@ = unpack('<xxxxxxI6xxxxxxxx@REF_FORMAT@', version)
    end
  else
    version, first = nil, 0
  end
end
if status == 0 and not fresh then
  local last = unpack('<I6', log, bytes - @RECORD@ + 1)
  if last > newest then newest = last end
end

-- The horizon follows from the newest event time. A pass that meets a newer one than assumed is done again.
horizon = newest - newest % DAY - RETENTION
local assumed
repeat
  assumed, dead = horizon, 0
  @RESET@
  for chunk = 2, bytes, @RECORD@ * 8192 do
    local stop = chunk + @RECORD@ * 8192 - 1
    if stop > bytes then stop = bytes end
    @SCAN@
    @CARRY@
  end
  horizon = newest - newest % DAY - RETENTION
until horizon == assumed
@TOTAL@
if status == 0 and t < horizon then
  status = 3
  @RESET@
end
