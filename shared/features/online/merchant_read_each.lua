-- KEYS     for each read the prefix of the merchant's keys.
-- ARGV     for each the event time that is read at, u6.
-- Reply    for each what `read` returns.
@READ@
local replies = {}
for k = 1, #KEYS do replies[k] = read(KEYS[k], ARGV[k]) end
return table.concat(replies)
