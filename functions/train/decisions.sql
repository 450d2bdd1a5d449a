-- The first whole decision on each transaction, in event-time order.
SELECT * FROM decisions
WHERE event_time_ms > $first_ms AND event_time_ms <= $cut_ms
  AND NOT degraded AND feature_status NOT IN ('unread', 'conflict')
QUALIFY row_number() OVER (PARTITION BY card_id, transaction_id ORDER BY arrival, kafka_partition, kafka_offset) = 1
ORDER BY event_time_ms, card_id, transaction_id
