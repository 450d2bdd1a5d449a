local texts, length = '', #heap
if not id_ref then
  id_ref = length + 1
  texts = id .. '\0'
end
@STORE_TEXTS@
local count = (bytes - 1) / @RECORD@
if length + #texts > @HEAP@ or dead > 16 and dead * 4 > count or count + 1 >= @SMALL@ then
  if (count + 1 - dead) * 4 > @SMALL@ * 3 or dead * 4 < count then
    heap = heap .. texts
    @PROMOTE@
  else
    -- Write the log again without what lies before the horizon, and the heap with what is still referred to.
    local records, entries, moved_to, size = {'S'}, {'\0'}, {}, 1
    local known, kept = heap .. texts, log .. head .. @PACK_RECORD@
    for p = 2, #kept, @RECORD@ do
      if unpack('<I6', kept, p) >= horizon then
        local moved = {unpack('<@REF_FORMAT@I2', kept, p + 20)}
        for k = 1, @REF_COUNT@ do
          local old = moved[k]
          if old > 0 and not moved_to[old] then
            local entry = sub(known, old, find(known, '\0', old, true))
            entries[#entries + 1] = entry
            moved_to[old] = size + 1
            size = size + #entry
          end
          moved[k] = moved_to[old] or 0
        end
        records[#records + 1] = sub(kept, p, p + 19) .. pack('<@REF_FORMAT@I2', @MOVED@)
      end
    end
    call('SET', prefix .. ':l', table.concat(records))
    call('SET', prefix .. ':s', table.concat(entries))
  end
elseif fresh then
  call('SET', prefix .. ':l', log .. head .. @PACK_RECORD@)
  call('SET', prefix .. ':s', heap .. texts)
else
  call('APPEND', prefix .. ':l', head .. @PACK_RECORD@)
  if texts ~= '' then call('APPEND', prefix .. ':s', texts) end
  ttl = call('PTTL', prefix .. ':l')
end
