-- How many different codes of a counted text lie in windows, the transaction's own aside.
do
  local key, upto = prefix .. ':z@KIND@', string.format('%.0f', t)
  local own_seen = @TEXT@ > 0 and tonumber(call('ZSCORE', key, @TEXT@)) or -1
  @COUNT_SEEN@
  if t < newest then
    -- Those seen after t may lie in the windows too: look for them among the records, from the latest.
    local sought, missing = {}, 0
    for _, code in ipairs(call('ZRANGEBYSCORE', key, '(' .. upto, '+inf')) do
      code = tonumber(code)
      if code ~= @TEXT@ then sought[code], missing = true, missing + 1 end
    end
    local n2, m2, i2 = n, m, i
    while missing > 0 and i2 > 0 and time(n2, m2, i2) > @EDGE@ do
      local codes = {unpack(sub('@CODE_FORMAT@', 1, i2 * @CODE_FORMAT_EACH@ + 1), times)}
      while i2 > 0 do
        local code = codes[i2]
        if sought[code] then
          local at = unpack('<I6', times, (i2 - 1) * @MOMENT@ + 1)
          @COUNT_MET@
          sought[code], missing = nil, missing - 1
          if missing == 0 then break end
        end
        i2 = i2 - 1
      end
      n2, m2, i2 = previous(n2, m2, 1)
    end
  end
end
