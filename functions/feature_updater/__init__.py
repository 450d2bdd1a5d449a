"""Kafka-triggered function: keeps every card's behaviour in the feature store up to date."""
