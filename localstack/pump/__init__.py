"""The event pump: plays the triggers of AWS Lambda (Kafka batches, schedules, HTTP API) against handlers."""
