-- KEYS     for each transaction the prefix of its merchant's keys.
-- ARGV     for each the digest of its card and id, and the UTC day of its event time.
-- Reply    how many were not recorded before, nor lie before all that their merchant remembers.
@RECORD@
local recorded = 0
for k = 1, #KEYS do
  open(KEYS[k], ARGV[2 * k - 1], ARGV[2 * k])
  recorded = recorded + record()
end
return recorded
