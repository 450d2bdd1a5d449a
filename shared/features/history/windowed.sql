-- Windows over the event times of what a card remembers: first versions that were not too late. They are right for a row
-- that no record of its windows overtook and whose windows the horizon leaves whole.
SELECT row, card, seq, t, a, latitude, longitude@SUBJECT@, @WINDOWED@
  max(seq) OVER with_own_@LONGEST@ = seq AND t - @LONGEST@ >= horizon - 1 AS in_order
FROM (SELECT *@PREVIOUS@ FROM versions WHERE first = row AND t >= horizon AND card % @PARTS@ = @PART@) r
WINDOW @FRAMES@;
