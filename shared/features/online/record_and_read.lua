-- Record one transaction of a card and read its aggregates, as one atomic step. Rendered from the catalogue by
-- script.py; layout.py says what the keys hold.
--
-- KEYS[1]  prefix of the card's keys.
-- ARGV     id with its kind, head (event time, amount, latitude, longitude), then the texts, '' for unknown.
-- Reply    little-endian doubles: status (8 more where windows were cut), then the aggregates; for a conflict the first
--          version's head and texts follow.
--
-- All input is validated by the caller and nothing fails after the first write: a script is atomic but not rolled back.
local unpack_list = unpack
local call, find, sub, byte, unpack, pack, floor =
  redis.call, string.find, string.sub, string.byte, struct.unpack, struct.pack, math.floor
local DAY, RETENTION = 86400000, @RETENTION@
local prefix = KEYS[1]
local id, head = ARGV[1], ARGV[2]
local log = call('GET', prefix .. ':l')
local large = log and byte(log) == 76
local t, amount = unpack('<I6I6', head)

-- References of the transaction's texts: 0 unknown, -1 not known to the card yet. Then the record of a repeated id.
local status, newest, version, horizon, ttl, cut = 0, t, nil, nil, 0, 0
@TEXTS@
@DECLARE@
local heap, fresh, bytes, id_ref, dead
local noted, by_code, bucket, bucket_field, n, m, i, append_row, cut_before
local tied = 0
local pages, opened, page, page_at, blocks, times, times_page, times_block, last_row, buckets
local open, load, locate, row, before, bucket_of
if large then
  @READ_LARGE@
else
  @READ_SMALL@
end
if status == 0 or status == 3 then
  @ADD_OWN@
end
@ADD_OWN_TEXTS@

local reply = pack('<@REPLY_FORMAT@', status + cut@REPLY@)
if status == 2 then
  reply = reply .. sub(version, 1, 20)
  local refs = {@REFS@}
  for k = 1, #refs do
    local ref, text = refs[k], ''
    if ref > 0 then
      if large then
        text = by_code[ref][1]
      else
        text = sub(heap, ref + 1, find(heap, '\0', ref, true) - 1)
      end
    end
    reply = reply .. text .. '\0'
  end
end
if status ~= 0 then return reply end

if large then
  @RECORD_LARGE@
  ttl = call('PTTL', prefix .. ':l')
else
  @RECORD_SMALL@
end
if ttl < @TTL_REFRESH@ then
  @REFRESH@
end
return reply
