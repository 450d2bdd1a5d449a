-- Take in a label at its merchant. Rendered by merchant.py, which says what the keys hold.
--
-- KEYS[1]  prefix of the merchant's keys.
-- ARGV     digest of the transaction's card and id, UTC day of its event time, label time u6, fraud u1.
-- Reply    0 applied, 1 taken in before, 2 waits for its transaction, 3 before all that the merchant remembers.
@STATE@
open(KEYS[1], ARGV[1], ARGV[2])
if #days > HEAD and day < unpack('<I3', days, #days - ENTRY + 1) - MEMORY then return 3 end
local label = digest .. ARGV[3]
local labelled = call('HGET', prefix .. ':l', field) or ''
local p = find(labelled, label, 1, true)
while p and (p - 1) % LABEL ~= 0 do p = find(labelled, label, p + 1, true) end
if p then return 1 end

local old, was = changes_of(labels_in(labelled))
labelled = labelled .. label
call('HSET', prefix .. ':l', field, labelled)
local listed = call('HGET', prefix .. ':d', field)
local recorded = listed and position(listed, 1, DIGEST)
if listed and not recorded then
  recorded = position(call('HGET', prefix .. ':d' .. field, byte(digest)) or '', 1, DIGEST)
end
if recorded then
  local new, is = changes_of(labels_in(labelled))
  if is ~= was then count(0, is - was) end
  note(old, new)
end
keep()
return recorded and 0 or 2
