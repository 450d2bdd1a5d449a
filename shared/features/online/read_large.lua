-- What the sealed sequences of a large card add to the aggregates of its log.
local index, blocks, total, sequence, first_block, ends, times, times_of
local own_at, own_within

local function open(name)
  sequence = prefix .. ':' .. name
  index = call('GET', sequence .. 'x')
  blocks = (#index - @INDEX_HEAD@) / 10
  first_block, total, ends = unpack('<I4I4I6', index)
  times_of = 0
end

local function size(b)
  if times_of == b then return #times / 6 end
  local from = unpack('<I4', index, @INDEX_HEAD@ + b * 10 - 3)
  local upto = b < blocks and unpack('<I4', index, @INDEX_HEAD@ + b * 10 + 7) or total
  return upto - from
end

local function key(b) return sequence .. 'b' .. (first_block + b - 1) end

local function load(b)
  if times_of ~= b then
    times, times_of = call('GETRANGE', key(b), 0, size(b) * 6 - 1), b
  end
end

local function time(b, i)
  load(b)
  return unpack('<I6', times, i * 6 - 5)
end

-- The last record not after T as block and number in it, from 1; 0, 0 when there is none.
local function locate(T)
  local low, high = 0, blocks
  while low < high do
    local middle = floor((low + high + 1) / 2)
    if unpack('<I6', index, @INDEX_HEAD@ + middle * 10 - 9) <= T then low = middle else high = middle - 1 end
  end
  if low == 0 then return 0, 0 end
  load(low)
  if ends <= T and low == blocks then return low, #times / 6 end
  local i, j = 1, #times / 6
  while i < j do
    local middle = floor((i + j + 1) / 2)
    if unpack('<I6', times, middle * 6 - 5) <= T then i = middle else j = middle - 1 end
  end
  return low, i
end

local function previous(b, i)
  if i > 1 then return b, i - 1 end
  if b > 1 then return b - 1, size(b - 1) end
  return 0, 0
end

local function row(b, i, from, upto)
  local start = size(b) * 6 + (i - 1) * @ROW@
  return call('GETRANGE', key(b), start + from, start + upto)
end

-- Sums over all records up to one: sum (2 limbs), sum of squares (3), nights; the number of records; then the largest amount in
-- its block so far and the number of the latest located record.
local function running(b, i)
  if b == 0 then return 0, 0, 0, 0, 0, 0, 0, 0, 0 end
  local sum_hi, sum, squares_top, squares_hi, squares, night, largest, located =
    unpack('<I4I5I4I5I5I4I6I4', row(b, i, @VALUES@, @ROW@ - 1))
  local rank = unpack('<I4', index, @INDEX_HEAD@ + b * 10 - 3) + i
  return sum_hi, sum, squares_top, squares_hi, squares, night, rank, largest, located
end

local function largest_in_block(b, i, j, best)
  if i > j then return best end
  local start = size(b) * 6
  local rows = call('GETRANGE', key(b), start + (i - 1) * @ROW@, start + j * @ROW@ - 1)
  for p = 1, #rows, @ROW@ do
    local a = unpack('<I6', rows, p)
    if a > best then best = a end
  end
  return best
end

-- Largest amount after one record and up to another.
local function largest_between(b, i, c, j, best)
  if c == 0 or b > c or b == c and i >= j then return best end
  if b == c then return largest_in_block(b, i + 1, j, best) end
  local sum_hi, sum, squares_top, squares_hi, squares, night, rank, here = running(c, j)
  if here > best then best = here end
  if c == 1 then return best end
  local tops = call('GETRANGE', sequence .. 'y', b > 0 and (b - 1) * 6 or 0, (c - 1) * 6 - 1)
  for p = b > 0 and 7 or 1, #tops, 6 do
    local top = unpack('<I6', tops, p)
    if top > best then best = top end
  end
  if b > 0 and unpack('<I6', tops) > best then best = largest_in_block(b, i + 1, size(b), best) end
  return best
end

-- Whether the transaction itself is in this sequence, and where.
local function find_own(b, i)
  while b > 0 and time(b, i) == t do
    if row(b, i, 0, @VALUES@ - 1) == own_within then return b, i end
    b, i = previous(b, i)
  end
  return 0, 0
end

-- Time and place of the latest located record up to one; of several at one moment the first. The record itself aside.
local function located_at(b, i, own_b, own_i)
  if b == 0 then return -1 end
  local sum_hi, sum, squares_top, squares_hi, squares, night, rank, here, located = running(b, i)
  if located == 0 then return -1 end
  local low, high = 1, blocks
  while low < high do
    local middle = floor((low + high + 1) / 2)
    if unpack('<I4', index, @INDEX_HEAD@ + middle * 10 - 3) < located then low = middle else high = middle - 1 end
  end
  local k = located - unpack('<I4', index, @INDEX_HEAD@ + low * 10 - 3)
  if k < 1 then return -1 end
  if own_b == 0 or time(low, k) < t then
    local latitude, longitude = unpack('<i4i4', row(low, k, 6, 13))
    return time(low, k), latitude, longitude
  end
  local found_latitude, found_longitude
  while b > 0 and time(b, i) == t do
    local latitude, longitude = unpack('<i4i4', row(b, i, 6, 13))
    if latitude ~= @NOWHERE@ and not (b == own_b and i == own_i) then
      found_latitude, found_longitude = latitude, longitude
    end
    b, i = previous(b, i)
  end
  if found_latitude then return t, found_latitude, found_longitude end
  return located_at(b, i, 0, 0)
end

if status ~= 0 and first == 0 then own_within = sub(version, 7, 20)@OWN_TEXTS@ .. sub(version, VERSION + 1) end
local place_at, place_latitude, place_longitude = -1, 0, 0
for number = 0, runs do
  open(number == 0 and '' or number)
  local b, i = locate(t)
  if b > 0 then
    local own_b, own_i = 0, 0
    if own_within then
      own_b, own_i = find_own(b, i)
      if own_b > 0 then own_within = nil end
    end
    local sum_hi, sum, squares_top, squares_hi, squares, night, rank = running(b, i)
    local others_b, others_i = b, i
    if own_b > 0 then others_b, others_i = previous(b, i) end
    @READ_SEQUENCE@
  end
end
@READ_DISTINCT@
@READ_MET@
