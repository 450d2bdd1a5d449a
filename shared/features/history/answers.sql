-- Rows that the windows are not right for, joined with what their card knew.
CREATE OR REPLACE TEMP TABLE special AS
WITH asked AS (
  SELECT v.row, v.first, v.horizon, v.seq, v.card, f.t, f.a, f.latitude, f.longitude@SPECIAL_SUBJECT@,
    CASE WHEN v.first = v.row THEN 'new' ELSE 'seen' END AS status
  FROM (SELECT row, first, horizon, seq, card FROM versions ANTI JOIN (SELECT row FROM windowed WHERE in_order) USING (row)) v
  JOIN arrivals f ON f.row = v.first
  WHERE f.t >= v.horizon
), joined AS (
  SELECT s.row@JOINED@
  FROM asked s JOIN windowed r
    ON r.card = s.card AND r.seq <= s.seq AND r.t <= s.t AND r.t > s.t - @LONGEST@ AND r.t >= s.horizon
  GROUP BY s.row
)
SELECT row, card, status, t, a, latitude, longitude@SUBJECT@@AGGREGATES@ FROM asked JOIN joined USING (row);

-- A repeated id whose content is another.
UPDATE special SET status = 'conflict' FROM repeated, raw o, raw x
WHERE special.status = 'seen' AND repeated.row = special.row AND o.row = repeated.row AND x.row = repeated.first
  AND NOT (@SAME@);

-- One line per row: status, the transaction that counts, its aggregates. A row that came too late stands alone.
CREATE OR REPLACE TEMP VIEW answers AS
SELECT row, card, 'new' AS status, t, a, latitude, longitude@SUBJECT@@AGGREGATES@ FROM windowed WHERE in_order
UNION ALL
SELECT * FROM special
UNION ALL
SELECT row, card, 'too_late', t, a, latitude, longitude@SUBJECT@@ALONE@ FROM versions r WHERE first = row AND t < horizon;
