"""Applying events to the feature store."""

import asyncio
from collections import Counter as Counting
from collections.abc import Sequence
from typing import Final, Protocol

from prometheus_client import Counter
from pydantic import ValidationError
from redis.exceptions import RedisError

from shared.batching import Batcher, Overloaded
from shared.contracts import cloudevents
from shared.contracts.cloudevents import Event, PoisonEvent
from shared.contracts.event_time import now_milliseconds
from shared.contracts.label import Label
from shared.contracts.transaction import Transaction
from shared.features.catalogue import Settings
from shared.features.online import FeatureRead, ReadStatus
from shared.hosts.outcome import Handled, Outcome, ServiceAway, poisoned

UPDATES: Final = Counter("fraud_feature_updates_total", "Transaction events applied to the feature store.", ["status"])
LABELS: Final = Counter("fraud_feature_labels_total", "Label events taken in, redelivered ones included.", ["is_fraud"])


class FeatureStore(Protocol):
    """The online feature engine."""

    async def record_and_read(self, transactions: Sequence[Transaction]) -> list[FeatureRead]:
        """Record transactions; what is known already stays as it is."""

    async def record(self, transactions: Sequence[Transaction]) -> list[ReadStatus]:
        """The same without reading their features."""


class Updater:
    """Applies events; those that wait at the same moment share a round trip.

    An event that the scorer or an earlier delivery has recorded already changes nothing.
    """

    def __init__(self, store: FeatureStore, settings: Settings, timeout_seconds: float) -> None:
        self._store = store
        self._settings = settings
        self._timeout = timeout_seconds
        self._batcher: Batcher[Transaction, FeatureRead] = Batcher(self._record, deadline_seconds=timeout_seconds)

    async def handle(self, event: Event) -> None:
        """Apply one event: a transaction, or a label, which no feature of the catalogue looks at yet.

        Raises:
            PoisonEvent: It is neither, or a transaction from the future.
            pydantic.ValidationError: A field is wrong.
            ServiceAway: The feature store did not answer in time.
        """
        if event.type == cloudevents.LABEL:
            label = Label.model_validate_json(event.data)
            LABELS.labels("yes" if label.is_fraud else "no").inc()
        elif event.type == cloudevents.TRANSACTION:
            await self._apply(event)
        else:
            raise PoisonEvent(f"expected an event of type {cloudevents.TRANSACTION} or {cloudevents.LABEL}")

    async def handle_together(self, events: Sequence[Event]) -> list[Handled]:
        """Apply several events, the transactions among them in one round trip, and say what came of each.

        Raises:
            ServiceAway: The feature store did not answer in time.
        """
        handled: list[Handled] = []
        transactions: list[Transaction] = []
        for event in events:
            try:
                if event.type == cloudevents.TRANSACTION:
                    transactions.append(self._transaction(event))
                else:
                    await self.handle(event)
                handled.append(Handled(Outcome.DONE))
            except (PoisonEvent, ValidationError) as error:
                handled.append(poisoned(error))
        try:
            async with asyncio.timeout(self._timeout):
                statuses = await self._store.record(transactions) if transactions else []
        except (RedisError, OSError, TimeoutError) as error:
            raise ServiceAway(f"the feature store is away ({type(error).__name__})") from error
        for status, number in Counting(statuses).items():
            UPDATES.labels(status.name.lower()).inc(number)
        return handled

    def _transaction(self, event: Event) -> Transaction:
        transaction = Transaction.from_event(event.data)
        if self._settings.refuses(transaction.event_time_ms, now_milliseconds()):
            raise PoisonEvent("timestamp: lies too far ahead of the clock")
        return transaction

    async def _apply(self, event: Event) -> None:
        transaction = self._transaction(event)
        try:
            read = await self._batcher.submit(transaction)
        except (RedisError, OSError, TimeoutError, Overloaded) as error:
            raise ServiceAway(f"the feature store is away ({type(error).__name__})") from error
        UPDATES.labels(read.status.name.lower()).inc()

    async def _record(self, transactions: Sequence[Transaction]) -> list[FeatureRead]:
        async with asyncio.timeout(self._timeout):
            return await self._store.record_and_read(transactions)
