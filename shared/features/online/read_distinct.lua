-- How many different codes of a counted text lie in a window, the transaction's own aside.
do
  local key, after, upto = prefix .. ':z@KIND@', string.format('(%.0f', @EDGE@), string.format('%.0f', t)
  local seen = call('ZCOUNT', key, after, upto)
  local own_seen = @TEXT@ > 0 and tonumber(call('ZSCORE', key, @TEXT@)) or -1
  if own_seen > @EDGE@ and own_seen <= t then seen = seen - 1 end
  if t < newest then
    -- Those seen after t may lie in the window too: look for them among its records, from the latest.
    local sought, missing = {}, 0
    for _, code in ipairs(call('ZRANGEBYSCORE', key, '(' .. upto, '+inf')) do
      code = tonumber(code)
      if code ~= @TEXT@ then sought[code], missing = true, missing + 1 end
    end
    local function check(code)
      if sought[code] then sought[code], missing, seen = nil, missing - 1, seen + 1 end
    end
    if missing > 0 then
      for p = START, bytes, RECORD do
        local ti = unpack('<I6', log, p)
        if ti <= t and ti > @EDGE@ then check(unpack('<I3', log, p + @LOG_OFFSET@)) end
      end
    end
    for number = 0, runs do
      if missing > 0 then
        open(number == 0 and '' or number)
        local b, i = locate(t)
        while missing > 0 and b > 0 and time(b, i) > @EDGE@ do
          local rows = row(b, 1, 0, i * @ROW@ - 1)
          while missing > 0 and i > 0 and time(b, i) > @EDGE@ do
            check(unpack('<I3', rows, (i - 1) * @ROW@ + @ROW_OFFSET@ + 1))
            i = i - 1
          end
          if i > 0 then break end
          b, i = previous(b, 1)
        end
      end
    end
  end
  @NAME@ = seen
end
