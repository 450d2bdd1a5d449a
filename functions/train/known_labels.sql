-- Labels as the feature engine reads them.
SELECT transaction_id, card_id, merchant_id, event_time_ms, is_fraud, label_time_ms, arrival
FROM labels
WHERE label_time_ms <= $cut_ms
ORDER BY label_time_ms, arrival, kafka_partition, kafka_offset
