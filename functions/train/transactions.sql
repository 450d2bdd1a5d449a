-- Everything the feature engine may know, each transaction as often as it came: the engine takes the first version of an
-- id. A decision recorded its transaction, whenever Kafka brought it; its row is the one whose vector was logged.
SELECT transaction_id, card_id, amount_minor, merchant_id, merchant_category, city, country, latitude, longitude, channel,
       event_time_ms, arrival, NULL::BIGINT AS row
FROM transactions
WHERE event_time_ms <= $cut_ms
UNION ALL
SELECT transaction_id, card_id, amount_minor, merchant_id, merchant_category, city, country, latitude, longitude, channel,
       event_time_ms, arrival, row
FROM rows
ORDER BY arrival, row NULLS LAST, card_id, transaction_id
