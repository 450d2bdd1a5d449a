SELECT raw.transaction_id, raw.card_id, answered.* EXCLUDE row
FROM raw POSITIONAL JOIN (
  SELECT x.row, x.status@VALUES@
  FROM answers x@PLACES@@MERCHANTS@
  ORDER BY x.row
) answered
