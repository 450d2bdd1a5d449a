-- Whether another transaction in a window has the same text: by the days the text was seen on, from the latest.
do
  local entry, day, ms = @ENTRY@, floor(t / DAY), t % DAY
  local p = entry and #entry - 11 or 0
  while p > 3 do
    local seen_day, from, upto, often = unpack('<I3I4I4I1', entry, p)
    if seen_day == day then
      if from < ms or from == ms and (often > 1 or status == 0) then
        @NAME@ = 1
        break
      end
    elseif seen_day < day then
      if seen_day * DAY + upto > @EDGE@ then @NAME@ = 1 end
      break
    end
    p = p - 12
  end
end
