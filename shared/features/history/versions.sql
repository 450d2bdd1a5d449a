-- For each row the row whose version of the id counts, and the horizon: the UTC day floor of (the newest event time the
-- card then knew, the row itself included if it is a first version, - 31 d).
CREATE OR REPLACE TEMP TABLE versions AS
SELECT * EXCLUDE newest, newest - newest % @DAY@ - @RETENTION@ AS horizon
FROM (
  SELECT * EXCLUDE own, max(own) OVER (PARTITION BY card ORDER BY seq) AS newest
  FROM (
    SELECT *, CASE WHEN first = row THEN t END AS own
    FROM (SELECT arrivals.*, coalesce(first, row) AS first FROM arrivals LEFT JOIN repeated USING (row))
  )
);

-- Cards to which an id came back whose first version they had forgotten: `repeated` is wrong for them.
CREATE OR REPLACE TEMP TABLE forgetful AS
SELECT DISTINCT v.card FROM versions v JOIN arrivals f ON f.row = v.first WHERE v.first <> v.row AND f.t < v.horizon;
