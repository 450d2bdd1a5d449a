-- Forget blocks that lie before the horizon, a bounded share at a time.
open(pages)
local held = before(pages, blocks, 0)
open(1)
held = held - before(1, 1, 0)
local gone, limit = 0, held - @MOST@
local function following(k)
  if k < blocks then return unpack('<I6I4I2', page, k * @PAGE_ENTRY@ + 1) end
  return unpack('<I6', log, @ROOT_HEAD@ + @ROOT_ENTRY@ + 1)
end
local dropped = 0
while dropped < @DROPS@ and (pages > 1 or gone + 1 < blocks) do
  local excess = limit > 0
  if not excess and following(gone + 1) >= horizon then break end
  local block = unpack('<I4', page, gone * @PAGE_ENTRY@ + 7)
  if excess then
    -- More than the bound: the card forgets its oldest, and says so as long as a window would reach there.
    local forgotten = call('GET', prefix .. ':t' .. block)
    limit = limit - #forgotten / @MOMENT@
    local last = unpack('<I6', forgotten, #forgotten - @MOMENT@ + 1)
    if last >= cut_before then cut_before = last + 1 end
  end
  call('DEL', prefix .. ':t' .. block, prefix .. ':b' .. block)
  gone, dropped = gone + 1, dropped + 1
  if gone == blocks then
    call('DEL', prefix .. ':p' .. unpack('<I4', log, @ROOT_HEAD@ + 7))
    log = sub(log, 1, @ROOT_HEAD@) .. sub(log, @ROOT_HEAD@ + @ROOT_ENTRY@ + 1)
    pages, opened, page_at, gone = pages - 1, {}, 0, 0
    open(1)
  end
end
if dropped > 0 then
  log = sub(log, 1, 5) .. pack('<I6', cut_before) .. sub(log, 12)
  call('SET', prefix .. ':l', log, 'KEEPTTL')
  if gone > 0 then
    page = sub(page, gone * @PAGE_ENTRY@ + 1)
    call('SET', prefix .. ':p' .. unpack('<I4', log, @ROOT_HEAD@ + 7), page, 'KEEPTTL')
  end
  times_page = 0
end
