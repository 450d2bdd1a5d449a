-- The nearest double of a natural number, rounded once: the plain cast rounds its high and low halves apart.
CREATE OR REPLACE TEMP MACRO excess_bits(v) AS floor(log2(v::DOUBLE))::INTEGER - 60;
CREATE OR REPLACE TEMP MACRO nearest_double(v) AS CASE
  WHEN v < 4611686018427387904 THEN v::BIGINT::DOUBLE
  ELSE pow(2.0, excess_bits(v))
    * ((v >> excess_bits(v)) | CASE WHEN (v >> excess_bits(v)) << excess_bits(v) = v THEN 0 ELSE 1 END)::BIGINT::DOUBLE
  END;
