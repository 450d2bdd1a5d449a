-- What each row's merchant looked like, for rows whose merchant is known: the merchant and time are those of the version
-- that counts. `recorded` is the row's day where the row was recorded; in order of arrival (key, row), `oldest` is the
-- first day that the merchant then remembered, and `latest` the latest time it had been read at.
CREATE OR REPLACE TEMP TABLE merchant_reads AS
SELECT row, merchant, t, day, key, recorded,
  coalesce(max(recorded) OVER so_far - @MEMORY@, -@MEMORY@) AS oldest, max(t) OVER so_far AS latest
FROM (
  SELECT a.row, a.merchant_id_code AS merchant, a.t, a.t // @DAY@ AS day, raw.@KEY@ AS key,
    CASE WHEN a.status = 'new' THEN a.t // @DAY@ END AS recorded
  FROM answers a JOIN raw ON raw.row = a.row WHERE a.merchant_id_code IS NOT NULL
)
WINDOW so_far AS (PARTITION BY merchant ORDER BY key, row ROWS UNBOUNDED PRECEDING);

-- Labels of recorded transactions, each once. A single label, or what several say, is a sum of changes that hold from a
-- label time on, for readers that come after the label was known.
CREATE OR REPLACE TEMP TABLE labelled AS
SELECT y.row, y.merchant, y.day, y.key, y.latest, l.label_time_ms::BIGINT AS time, l.is_fraud::INTEGER AS fraud,
  min(@KNOWN@) AS known
FROM labels l
JOIN raw ON raw.transaction_id = l.transaction_id AND raw.card_id = l.card_id AND raw.merchant_id = l.merchant_id
  AND raw.t // @DAY@ = l.event_time_ms // @DAY@
JOIN merchant_reads y ON y.row = raw.row AND y.recorded IS NOT NULL
GROUP BY ALL;

CREATE OR REPLACE TEMP TABLE changes AS
WITH several AS (
  SELECT * FROM labelled SEMI JOIN (SELECT row FROM labelled GROUP BY row HAVING count(*) > 1) USING (row)
), said AS (
  -- At each label time and after each arrival: what the latest label says, fraud last among those of one time.
  SELECT x.row, x.time, y.known, coalesce(max(l.time * 2 + l.fraud) % 2, 0) AS fraud
  FROM (SELECT DISTINCT row, time FROM several) x
  JOIN (SELECT DISTINCT row, known FROM several) y ON y.row = x.row
  LEFT JOIN several l ON l.row = x.row AND l.time <= x.time AND l.known <= y.known
  GROUP BY ALL
), by_time AS (
  SELECT *, fraud - lag(fraud, 1, 0) OVER (PARTITION BY row, known ORDER BY time) AS change FROM said
), by_both AS (
  SELECT row, time, known, change - lag(change, 1, 0) OVER (PARTITION BY row, time ORDER BY known) AS change FROM by_time
), every AS (
  SELECT row, time, known, change FROM by_both WHERE change <> 0
  UNION ALL
  SELECT row, time, known, fraud FROM labelled ANTI JOIN several USING (row) WHERE fraud = 1
)
SELECT every.*, merchant, day, key, latest
FROM every JOIN (SELECT DISTINCT row, merchant, day, key, latest FROM labelled) USING (row);

-- Windows of every day on which a merchant was read, as if all that is known in the end had been known all along. A
-- change counts from the first day that begins at or after its label time, and as long as its day is in the window.
CREATE OR REPLACE TEMP TABLE merchant_windows AS
WITH spans AS (
  SELECT merchant, day, change, greatest(day + @DELAY@ + 1, (time + @DAY@ - 1) // @DAY@) AS begins FROM changes
)
SELECT merchant, day, read@OVER_DAYS@
FROM (
  SELECT merchant, day, bool_or(read) AS read, sum(n) AS n@SUM_DELTAS@
  FROM (
    SELECT merchant, day, true AS read, count(recorded) AS n@NO_DELTAS@ FROM merchant_reads GROUP BY merchant, day
@DELTAS@  ) GROUP BY merchant, day
)
WINDOW so_far AS (PARTITION BY merchant ORDER BY day ROWS UNBOUNDED PRECEDING)@FRAMES@
QUALIFY read;

-- What that is wrong by, for few rows: labels that became known on the row's day, what arrived after the row was read,
-- and days that the merchant had forgotten.
CREATE OR REPLACE TEMP TABLE corrections AS
WITH seen_later AS (
  SELECT merchant, key, max(latest) AS latest FROM merchant_reads SEMI JOIN changes USING (merchant) GROUP BY merchant, key
), late_changes AS (
  SELECT c.* FROM changes c @SEEN_BEFORE_KNOWN@
  WHERE greatest(c.latest, @LATEST_BEFORE_KNOWN@) >= greatest(c.time, (c.day + @DELAY@ + 1) * @DAY@)
), late AS (
  SELECT * FROM merchant_reads WHERE recorded IS NOT NULL AND latest >= (day + @DELAY@ + 1) * @DAY@
), forgetful AS (
  SELECT * FROM merchant_reads WHERE oldest > day - @DELAY@ - @LONGEST@
), wrong AS (
  SELECT r.row, r.day, c.day AS of, 0 AS n, c.change AS fraud
  FROM changes c JOIN merchant_reads r ON r.merchant = c.merchant AND r.day = c.time // @DAY@
  WHERE c.time % @DAY@ > 0 AND r.t >= c.time
  UNION ALL
  SELECT r.row, r.day, y.day, -1, 0
  FROM late y JOIN merchant_reads r ON r.merchant = y.merchant AND (r.key, r.row) < (y.key, y.row)
  UNION ALL
  SELECT r.row, r.day, c.day, 0, -c.change
  FROM late_changes c JOIN merchant_reads r ON r.merchant = c.merchant AND r.t >= c.time
  WHERE (r.key, r.row) < (c.key, c.row)@OR_UNKNOWN@
  UNION ALL
  SELECT r.row, r.day, y.day, -1, 0
  FROM forgetful r JOIN merchant_reads y ON y.merchant = r.merchant AND y.day < r.oldest
  WHERE y.recorded IS NOT NULL AND (y.key, y.row) <= (r.key, r.row)
  UNION ALL
  SELECT r.row, r.day, c.day, 0, -c.change
  FROM forgetful r JOIN changes c ON c.merchant = r.merchant AND c.day < r.oldest
  WHERE c.time <= r.t AND (c.key, c.row) <= (r.key, r.row)@AND_KNOWN@
)
SELECT row@CORRECTED@ FROM wrong WHERE of BETWEEN day - @DELAY@ - @LONGEST@ AND day - @DELAY@ - 1 GROUP BY row;
