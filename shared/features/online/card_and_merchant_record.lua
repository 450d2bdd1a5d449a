-- Record a transaction at its card and its merchant, as one atomic step, on a node that holds all keys.
--
-- KEYS, ARGV  those of card_and_merchant.lua.
-- Reply       that of the card's script.
local function at_card()
@CARD@
end
local reply = at_card()
if struct.unpack('<d', reply) % @CUT@ < 2 and ARGV[3] ~= '' then
  -- Also what its card knew already: an error, at a broken key say, may have come between the two.
@RECORD@
  open(KEYS[2], ARGV[@DIGEST_ARGUMENT@], ARGV[@DIGEST_ARGUMENT@ + 1])
  record()
end
return reply
