-- For each row the row whose version of the id counts, and the horizon: the UTC day floor of (the newest event time the
-- card then knew, the row itself included if it is a first version, - 31 d). Cards without a repeated id are plain.
CREATE OR REPLACE TEMP TABLE repeating AS
SELECT DISTINCT card FROM arrivals WHERE row IN (SELECT row FROM repeated);
CREATE OR REPLACE TEMP TABLE versions_of_repeating AS
SELECT * EXCLUDE own, max(own) OVER (PARTITION BY card ORDER BY seq) AS newest
FROM (
  SELECT *, CASE WHEN first = row THEN t END AS own
  FROM (
    SELECT a.* EXCLUDE newest, coalesce(first, a.row) AS first
    FROM (SELECT * FROM arrivals SEMI JOIN repeating USING (card)) a LEFT JOIN repeated ON repeated.row = a.row
  )
);
CREATE OR REPLACE TEMP VIEW versions AS
SELECT * EXCLUDE newest, newest - newest % @DAY@ - @RETENTION@ AS horizon
FROM (
  SELECT * EXCLUDE newest, row AS first, newest FROM arrivals ANTI JOIN repeating USING (card)
  UNION ALL
  SELECT * FROM versions_of_repeating
);

-- Cards to which an id came back whose first version they had forgotten: `repeated` is wrong for them.
CREATE OR REPLACE TEMP TABLE forgetful AS
SELECT DISTINCT v.card
FROM (SELECT card, row, first, horizon FROM versions WHERE first <> row) v JOIN arrivals f ON f.row = v.first
WHERE f.t < v.horizon;
