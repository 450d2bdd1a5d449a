-- How many different codes of a counted text lie in a window, the transaction's own aside.
do
  local key, after, upto = prefix .. ':z@KIND@', string.format('(%.0f', @EDGE@), string.format('%.0f', t)
  local seen = call('ZCOUNT', key, after, upto)
  if @TEXT@_seen > @EDGE@ and @TEXT@_seen <= t then seen = seen - 1 end
  if t < newest then
    -- Those seen after t may lie in the window too: look for them among its records, from the latest.
    local sought, missing = {}, 0
    for _, code in ipairs(call('ZRANGEBYSCORE', key, '(' .. upto, '+inf')) do
      code = tonumber(code)
      if code ~= @TEXT@ then sought[code], missing = true, missing + 1 end
    end
    local n2, m2, i2 = n, m, i
    while missing > 0 and i2 > 0 and time(n2, m2, i2) > @EDGE@ do
      local rows = row(n2, m2, 1, 0, i2 * @ROW@ - 1)
      while missing > 0 and i2 > 0 and unpack('<I6', times, i2 * 6 - 5) > @EDGE@ do
        local code = unpack('<I3', rows, (i2 - 1) * @ROW@ + @ROW_OFFSET@ + 1)
        if sought[code] then sought[code], missing, seen = nil, missing - 1, seen + 1 end
        i2 = i2 - 1
      end
      if i2 > 0 then break end
      n2, m2, i2 = previous(n2, m2, 1)
    end
  end
  @NAME@ = seen
end
