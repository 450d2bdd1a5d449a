-- The input with `row` (0, 1, … in input order) and `seq` (1, 2, … per card in order of arrival).
CREATE OR REPLACE TEMP TABLE arrivals AS
SELECT row, row_number() OVER (PARTITION BY card_id ORDER BY @ORDER@, row) AS seq, card_id, transaction_id,
       t, amount_minor::BIGINT AS a, @TEXTS@, @PLACE@
FROM (SELECT *, row_number() OVER () - 1 AS row, event_time_ms::BIGINT AS t FROM input);

-- Rows of ids that come more than once; the first to arrive is taken for the version that counts.
CREATE OR REPLACE TEMP TABLE repeated AS
SELECT row, first(row) OVER (PARTITION BY card_id, transaction_id ORDER BY seq) AS first
FROM arrivals SEMI JOIN (SELECT card_id, transaction_id FROM arrivals GROUP BY ALL HAVING count(*) > 1)
  USING (card_id, transaction_id);
