call('PEXPIRE', prefix .. ':l', @TTL@)
call('PEXPIRE', prefix .. ':s', @TTL@)
if byte(call('GETRANGE', prefix .. ':l', 0, 0)) == 76 then
  call('PEXPIRE', prefix .. ':k', @TTL@)
  call('PEXPIRE', prefix .. ':i', @TTL@)
  @REFRESH_COUNTED@
  for number = 0, byte(call('GETRANGE', prefix .. ':l', 1, 1)) - 48 do
    local sequence = prefix .. ':' .. (number == 0 and '' or number)
    local index = call('GET', sequence .. 'x')
    if index then
      call('PEXPIRE', sequence .. 'x', @TTL@)
      call('PEXPIRE', sequence .. 'y', @TTL@)
      local first_block = unpack('<I4', index)
      for b = first_block, first_block + (#index - @INDEX_HEAD@) / 10 - 1 do
        call('PEXPIRE', sequence .. 'b' .. b, @TTL@)
      end
    end
  end
end
