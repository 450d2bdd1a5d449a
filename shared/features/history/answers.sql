-- What a card remembers: first versions that were not too late.
CREATE OR REPLACE TEMP TABLE records AS
SELECT a.*, v.horizon FROM arrivals a JOIN versions v USING (row) WHERE v.first = a.row AND a.t >= v.horizon;

-- Windows over event time, right for a row that no record of its windows overtook and whose windows the horizon leaves
-- whole.
CREATE OR REPLACE TEMP TABLE windowed AS
SELECT row, @WINDOWED@
  max(seq) OVER with_own_@LONGEST@ = seq AND t - @LONGEST@ >= horizon - 1 AS in_order
FROM records r WINDOW @FRAMES@;

-- One line of aggregates per row. Rows that the windows are not right for are joined with what their card knew; a row
-- that came too late stands alone.
CREATE OR REPLACE TEMP TABLE answers AS
WITH special AS (
  SELECT v.row, v.first, v.horizon, o.seq, o.card_id, f.t@SPECIAL_TEXTS@
  FROM versions v JOIN arrivals o ON o.row = v.row JOIN arrivals f ON f.row = v.first LEFT JOIN windowed w ON w.row = v.row
  WHERE w.in_order IS NOT TRUE AND f.t >= v.horizon
)
SELECT row@COLUMNS@ FROM windowed WHERE in_order
UNION ALL
SELECT s.row@JOINED@
FROM special s JOIN records r
  ON r.card_id = s.card_id AND r.seq <= s.seq AND r.t <= s.t AND r.t > s.t - @LONGEST@ AND r.t >= s.horizon
GROUP BY s.row
UNION ALL
SELECT r.row@ALONE@
FROM arrivals r JOIN versions v USING (row) WHERE v.first = r.row AND r.t < v.horizon;
