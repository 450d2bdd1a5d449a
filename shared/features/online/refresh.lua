call('PEXPIRE', prefix .. ':l', @TTL@)
call('PEXPIRE', prefix .. ':s', @TTL@)
local stored = call('GET', prefix .. ':l')
if byte(stored) == 76 then
  call('PEXPIRE', prefix .. ':k', @TTL@)
  @REFRESH_COUNTED@
  for p = @ROOT_HEAD@ + 7, #stored, @ROOT_ENTRY@ do
    local name = prefix .. ':p' .. unpack('<I4', stored, p)
    local entries = call('GET', name)
    call('PEXPIRE', name, @TTL@)
    for q = 7, #entries, @PAGE_ENTRY@ do
      local number = unpack('<I4', entries, q)
      call('PEXPIRE', prefix .. ':t' .. number, @TTL@)
      call('PEXPIRE', prefix .. ':b' .. number, @TTL@)
    end
  end
end
