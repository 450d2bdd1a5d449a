-- The input with `row` (0, 1, … in input order) and unknown texts as null.
CREATE OR REPLACE TEMP TABLE raw AS
SELECT row_number() OVER () - 1 AS row, card_id, transaction_id, event_time_ms::BIGINT AS t, amount_minor::BIGINT AS a,
       @TEXTS@, @PLACE@@ARRIVAL@
FROM input;

-- Numbers for cards and for the texts that features compare: windows sort and compare numbers faster.
CREATE OR REPLACE TEMP TABLE cards AS SELECT card_id, row_number() OVER () AS card FROM (SELECT DISTINCT card_id FROM raw);
@CODES@

-- What the windows look at, with `seq` (1, 2, … per card in order of arrival) and the newest event time so far.
CREATE OR REPLACE TEMP TABLE arrivals AS
SELECT row, row_number() OVER so_far AS seq, card, t, a, latitude, longitude@COLUMNS@, max(t) OVER so_far AS newest
FROM raw JOIN cards USING (card_id)@JOINS@
WINDOW so_far AS (PARTITION BY card ORDER BY @ORDER@, row ROWS UNBOUNDED PRECEDING);

-- Rows of ids that come more than once; the first to arrive is taken for the version that counts.
CREATE OR REPLACE TEMP TABLE repeated AS
SELECT row, first(row) OVER (PARTITION BY card, transaction_id ORDER BY seq) AS first
FROM (
  SELECT row, transaction_id
  FROM raw SEMI JOIN (SELECT card_id, transaction_id FROM raw GROUP BY ALL HAVING count(*) > 1) USING (card_id, transaction_id)
) JOIN arrivals USING (row);
