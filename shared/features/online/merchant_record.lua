-- record(): record the opened transaction at its merchant, once; 1 when it was not recorded before, nor lies before all
-- that the merchant remembers, else 0. Rendered by merchant.py, which says what the keys hold.
@STATE@
local function record()
  local newest = #days > HEAD and unpack('<I3', days, #days - ENTRY + 1) or -1
  local oldest = math.max(newest, day) - MEMORY
  if day < oldest then return 0 end

  local listed, more = call('HGET', prefix .. ':d', field) or '', nil
  if position(listed, 1, DIGEST) then return 0 end
  if #listed < @INLINE@ then
    call('HSET', prefix .. ':d', field, listed .. digest)
  else
    more = call('HGET', prefix .. ':d' .. field, byte(digest)) or ''
    if position(more, 1, DIGEST) then return 0 end
    call('HSET', prefix .. ':d' .. field, byte(digest), more .. digest)
    if call('PTTL', prefix .. ':d' .. field) == -1 then call('PEXPIRE', prefix .. ':d' .. field, @TTL@) end
  end

  local labelled = call('HGET', prefix .. ':l', field)
  local changes, fraud = {}, 0
  if labelled then changes, fraud = changes_of(labels_in(labelled)) end
  count(1, fraud)
  if fraud == 1 or next(changes) then note({}, changes) end

  if day > newest and unpack('<I3', days, HEAD + 1) < oldest then
    -- Forget days, and let the running numbers begin after them.
    local p, base_t, base_f = HEAD + 1, 0, 0
    while unpack('<I3', days, p) < oldest do
      local gone
      gone, base_t, base_f = unpack('<I3I4I4', days, p)
      call('HDEL', prefix .. ':d', gone)
      call('UNLINK', prefix .. ':d' .. gone)
      p = p + ENTRY
    end
    local kept = {sub(days, 1, HEAD)}
    for q = p, #days, ENTRY do
      local at, t, f = unpack('<I3I4I4', days, q)
      kept[#kept + 1] = pack('<I3I4I4', at, t - base_t, f - base_f)
    end
    days = table.concat(kept)
    call('SET', prefix .. ':s', days, 'KEEPTTL')
    for _, at in ipairs(call('HKEYS', prefix .. ':l')) do
      if tonumber(at) < oldest then call('HDEL', prefix .. ':l', at) end
    end
    -- Who reads a remembered day knows the labels of its delay.
    call('ZREMRANGEBYSCORE', prefix .. ':z', '-inf', string.format('%.0f', (oldest + @DELAY@ + 1) * 86400000))
  end
  keep()
  return 1
end
