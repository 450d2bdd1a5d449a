"""Transactions that may be missing at their merchants, handed to the feature updater."""

import logging
from collections.abc import Sequence
from typing import Protocol

import orjson

from functions.scorer import metrics
from functions.scorer.decider import SOURCE
from shared.bus import topics
from shared.contracts import cloudevents
from shared.contracts.cloudevents import Event
from shared.contracts.transaction import Transaction

_log = logging.getLogger(__name__)


class EventSink(Protocol):
    """Where events go without waiting."""

    def publish(self, items: Sequence[tuple[str, Event]]) -> None:
        """Take events, each with its topic."""


class UnrecordedTransactions:
    """Publishes them as transaction events: their cards know them, so the updater only tells the merchants again."""

    def __init__(self, sink: EventSink) -> None:
        self._sink = sink

    def __call__(self, transactions: Sequence[Transaction], error: Exception) -> None:
        """Take transactions of decisions that have been answered already."""
        metrics.MERCHANT_UNRECORDED.inc(len(transactions))
        _log.warning("%d transactions may be missing at their merchants: %s", len(transactions), error)
        self._sink.publish(
            [
                (
                    topics.TRANSACTIONS,
                    Event(
                        id=one.transaction_id,
                        source=SOURCE,
                        type=cloudevents.TRANSACTION,
                        data=orjson.dumps(one.to_wire()),
                        subject=one.transaction_id,
                        time=one.event_time,
                        partition_key=one.card_id,
                    ),
                )
                for one in transactions
            ]
        )
