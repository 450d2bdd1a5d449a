-- Record a transaction at its card and its merchant and read both, as one atomic step, on a node that holds all keys.
--
-- KEYS[1]  prefix of the card's keys, KEYS[2] prefix of the merchant's.
-- ARGV     those of the card's script, then the digest of card and id, and the UTC day of the event time.
-- Reply    that of the card's script, with the merchant's numbers behind its own.
local function at_card()
@CARD@
end
local reply = at_card()
local status = struct.unpack('<d', reply) % @CUT@
local merchant, at = KEYS[2], string.sub(ARGV[2], 1, 6)
if status == 2 then
  -- Answered as the first version, whose head and texts end the reply; the merchant is the first of them.
  local first = string.sub(reply, @NUMBERS@ + @HEAD@ + 1, string.find(reply, '\0', @NUMBERS@ + @HEAD@ + 1, true) - 1)
  merchant = 'm:{' .. string.gsub(first, '[%%{}]', {['%'] = '%25', ['{'] = '%7B', ['}'] = '%7D'}) .. '}'
  at = string.sub(reply, @NUMBERS@ + 1, @NUMBERS@ + 6)
end
local function of_merchant()
@READ@
return read(merchant, at)
end
local numbers = of_merchant()
if status < 2 and ARGV[3] ~= '' then
  -- Also what its card knew already: an error, at a broken key say, may have come between the two.
@RECORD@
  open(merchant, ARGV[@DIGEST_ARGUMENT@], ARGV[@DIGEST_ARGUMENT@ + 1])
  record()
end
return string.sub(reply, 1, @NUMBERS@) .. numbers .. string.sub(reply, @NUMBERS@ + 1)
