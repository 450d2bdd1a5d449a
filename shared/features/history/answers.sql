-- Windows over the event times of what a card remembers: first versions that were not too late. They are right for a row
-- that no record of its windows overtook and whose windows the horizon leaves whole.
CREATE OR REPLACE TEMP TABLE windowed AS
SELECT row, card, seq, t, a, latitude, longitude@SUBJECT@, @WINDOWED@
  max(seq) OVER with_own_@LONGEST@ = seq AND t - @LONGEST@ >= horizon - 1 AS in_order
FROM versions r WHERE first = row AND t >= horizon
WINDOW @FRAMES@;

-- One line per row: status, the transaction that counts, its aggregates. Rows that the windows are not right for are
-- joined with what their card knew; a row that came too late stands alone.
CREATE OR REPLACE TEMP TABLE answers AS
WITH special AS (
  SELECT v.row, v.first, v.horizon, v.seq, v.card, f.t, f.a, f.latitude, f.longitude@SPECIAL_SUBJECT@,
    CASE WHEN v.first = v.row THEN 'new' ELSE 'seen' END AS status
  FROM versions v JOIN arrivals f ON f.row = v.first LEFT JOIN windowed w ON w.row = v.row
  WHERE w.in_order IS NOT TRUE AND f.t >= v.horizon
), joined AS (
  SELECT s.row@JOINED@
  FROM special s JOIN windowed r
    ON r.card = s.card AND r.seq <= s.seq AND r.t <= s.t AND r.t > s.t - @LONGEST@ AND r.t >= s.horizon
  GROUP BY s.row
)
SELECT row, card, 'new' AS status, t, a, latitude, longitude@SUBJECT@@AGGREGATES@ FROM windowed WHERE in_order
UNION ALL
SELECT row, card, status, t, a, latitude, longitude@SUBJECT@@AGGREGATES@ FROM special JOIN joined USING (row)
UNION ALL
SELECT row, card, 'too_late', t, a, latitude, longitude@SUBJECT@@ALONE@ FROM versions r WHERE first = row AND t < horizon;

-- A repeated id whose content is another.
UPDATE answers SET status = 'conflict' FROM repeated, raw o, raw x
WHERE answers.status = 'seen' AND repeated.row = answers.row AND o.row = repeated.row AND x.row = repeated.first
  AND NOT (@SAME@);
