-- Progress is told to the caller, not drawn into what a program prints.
SET enable_progress_bar = false;
-- The nearest double of a natural number, rounded once: the plain cast rounds its high and low halves apart.
CREATE OR REPLACE TEMP MACRO excess_bits(v) AS floor(log2(v::DOUBLE))::INTEGER - 60;
-- Whether an event time is at night.
CREATE OR REPLACE TEMP MACRO at_night(t) AS t % @DAY@ < @NIGHT_ENDS@;
-- Orders located records by event time, of several at one moment the first recorded last, and gives them back.
CREATE OR REPLACE TEMP MACRO place_key(t, seq) AS t::HUGEINT * 1099511627776 + (1099511627775 - seq);
CREATE OR REPLACE TEMP MACRO place_seq(key) AS (1099511627775 - key % 1099511627776)::BIGINT;
CREATE OR REPLACE TEMP MACRO place_time(key) AS (key // 1099511627776)::BIGINT;
-- Great-circle speed in km/h, places in units of 10^-7 degrees; the formula of shared.features.values.speed_kmh.
CREATE OR REPLACE TEMP MACRO square(v) AS v * v;
CREATE OR REPLACE TEMP MACRO speed_kmh(latitude, longitude, from_latitude, from_longitude, elapsed_ms) AS
  CASE WHEN latitude IS NOT NULL AND from_latitude IS NOT NULL THEN 2.0::DOUBLE * @EARTH_RADIUS_KM@::DOUBLE * asin(least(1.0::DOUBLE, sqrt(
    square(sin((latitude - from_latitude) * @RADIANS@::DOUBLE / 2))
    + cos(from_latitude * @RADIANS@::DOUBLE) * cos(latitude * @RADIANS@::DOUBLE)
      * square(sin((longitude - from_longitude) * @RADIANS@::DOUBLE / 2))
  ))) * 3600::DOUBLE / greatest(elapsed_ms / 1000::DOUBLE, 1.0::DOUBLE) END;
CREATE OR REPLACE TEMP MACRO nearest_double(v) AS CASE
  WHEN v < 4611686018427387904 THEN v::BIGINT::DOUBLE
  ELSE pow(2.0, excess_bits(v))
    * ((v >> excess_bits(v)) | CASE WHEN (v >> excess_bits(v)) << excess_bits(v) = v THEN 0 ELSE 1 END)::BIGINT::DOUBLE
  END;
-- Population deviations of an amount from the mean of n others, given their sum and sum of squares.
CREATE OR REPLACE TEMP MACRO spread(n, total, squares) AS n::HUGEINT * squares - total::HUGEINT * total;
CREATE OR REPLACE TEMP MACRO zscore(amount, n, total, squares, least) AS CASE
  WHEN n < least OR spread(n, total, squares) = 0 THEN 0.0::DOUBLE
  ELSE (n * amount - total)::BIGINT::DOUBLE / sqrt(nearest_double(spread(n, total, squares))) END;
