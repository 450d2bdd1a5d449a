-- A small card becomes large: its texts and ids are noted, its log is sealed.
@WRITE_FUNCTIONS@
counter = 0
local function text_at(ref)
  if ref == 0 then return '' end
  return sub(heap, ref + 1, find(heap, '\0', ref, true) - 1)
end
local records, order = {'L0\0\0\0'}, 0
for p = START, #log, RECORD do
  local at, @LIST_REFS@, named = unpack('<I6xxxxxxxxxxxxxx@REF_FORMAT@I3', log, p)
  if at >= horizon then
    local full = sub(log, p, p + 19) .. pack('<@REF_FORMAT@I3', @NOTE_REFS@, order)
    order = order + 1
    local name = sub(heap, named, find(heap, '\0', named, true) - 1)
    local n = bucket_of(name)
    buckets[n] = remember(pack('<I1', #name) .. name .. full, buckets[n] or '')
    records[#records + 1] = full
    @COUNT_PROMOTED@
  end
end
changed['#'] = counter
write_hash(':k', changed)
write_hash(':i', buckets)
call('SET', prefix .. ':x', string.rep('\0', @INDEX_HEAD@), 'PX', @TTL@)
call('DEL', prefix .. ':s')
seal(table.concat(records), order)
