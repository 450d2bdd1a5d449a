"""Kafka-triggered function: scores every decision a second time with the challenger, and harms nobody."""
