-- What was said about the rows up to the cut, in the order in which it became known.
SELECT rows.row, labels.label_time_ms, labels.is_fraud, labels.pattern
FROM (SELECT * FROM labels WHERE label_time_ms <= $cut_ms) labels JOIN rows USING (card_id, transaction_id)
ORDER BY labels.label_time_ms, labels.arrival, labels.kafka_partition, labels.kafka_offset
