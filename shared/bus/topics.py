"""Names and shape of the Kafka topics."""

from typing import Final

TRANSACTIONS: Final = "fraud.transactions"
DECISIONS: Final = "fraud.decisions"
SHADOWS: Final = "fraud.shadows"
LABELS: Final = "fraud.labels"
DRIFT: Final = "fraud.drift"
MODELS: Final = "fraud.models"
DEAD_LETTERS: Final = "fraud.dead-letters"

TOPICS: Final = (TRANSACTIONS, DECISIONS, SHADOWS, LABELS, DRIFT, MODELS, DEAD_LETTERS)

PARTITIONS: Final = 8
"""Partitions per topic; records are keyed by card, so a card's events stay in order."""
