local place_at, place_latitude, place_longitude = located_at(n, m, i, last_row)
if status ~= 0 and place_at == t then
  -- Of those at the same moment the first recorded, the transaction itself aside; else the latest before.
  place_at = -1
  local n2, m2, i2 = n, m, i
  while i2 > 0 and time(n2, m2, i2) == t do
    local latitude, longitude = unpack('<i4i4', row(n2, m2, i2, 6, 13))
    if latitude ~= @NOWHERE@ and not (n2 == own_n and m2 == own_m and i2 == own_i) then
      place_at, place_latitude, place_longitude = t, latitude, longitude
    end
    n2, m2, i2 = previous(n2, m2, i2)
  end
  if place_at < 0 then place_at, place_latitude, place_longitude = located_at(n2, m2, i2) end
end
