"""Applying events to the feature store."""

import asyncio
from collections import Counter as Counting
from collections.abc import Awaitable, Sequence
from typing import Final, Protocol, TypeVar

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
from shared.features.online import FeatureRead, LabelOutcome, ReadStatus
from shared.hosts.outcome import Handled, Outcome, ServiceAway, poisoned

Answer = TypeVar("Answer")
UPDATES: Final = Counter("fraud_feature_updates_total", "Transaction events applied to the feature store.", ["status"])
LABELS: Final = Counter("fraud_feature_labels_total", "Label events, by what became of them.", ["outcome"])


class FeatureStore(Protocol):
    """The online feature engine."""

    async def record_and_read(self, transactions: Sequence[Transaction]) -> list[FeatureRead]:
        """Record transactions at card and merchant; what is known already stays as it is."""

    async def label(self, labels: Sequence[Label]) -> list[LabelOutcome]:
        """Take in labels; what is known already changes nothing."""

    async def record(self, transactions: Sequence[Transaction]) -> list[ReadStatus]:
        """The same without reading their features."""


class Updater:
    """Applies events; those that wait at the same moment share a round trip.

    An event that the scorer or an earlier delivery has recorded already changes nothing. The event is done once both
    card and merchant have it.
    """

    def __init__(self, store: FeatureStore, settings: Settings, timeout_seconds: float) -> None:
        self._store = store
        self._settings = settings
        self._timeout = timeout_seconds
        self._transactions: Batcher[Transaction, FeatureRead] = Batcher(self._record, deadline_seconds=timeout_seconds)
        self._labels: Batcher[Label, LabelOutcome] = Batcher(self._label, deadline_seconds=timeout_seconds)

    async def handle(self, event: Event) -> None:
        """Apply one event: a transaction, or a label.

        Raises:
            PoisonEvent: It is neither, or a transaction from the future.
            pydantic.ValidationError: A field is wrong.
            ServiceAway: The feature store did not answer in time.
        """
        if event.type == cloudevents.LABEL:
            outcome = await _in_time(self._labels.submit(Label.model_validate_json(event.data)))
            LABELS.labels(outcome.name.lower()).inc()
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
        statuses = await _in_time(self._record_all(transactions)) if transactions else []
        for status, number in Counting(statuses).items():
            UPDATES.labels(status.name.lower()).inc(number)
        return handled

    def _transaction(self, event: Event) -> Transaction:
        transaction = Transaction.from_event(event.data)
        if self._settings.refuses(transaction.event_time_ms, now_milliseconds()):
            raise PoisonEvent("timestamp: lies too far ahead of the clock")
        return transaction

    async def _apply(self, event: Event) -> None:
        read = await _in_time(self._transactions.submit(self._transaction(event)))
        UPDATES.labels(read.status.name.lower()).inc()

    async def _record(self, transactions: Sequence[Transaction]) -> list[FeatureRead]:
        async with asyncio.timeout(self._timeout):
            return await self._store.record_and_read(transactions)

    async def _record_all(self, transactions: Sequence[Transaction]) -> list[ReadStatus]:
        async with asyncio.timeout(self._timeout):
            return await self._store.record(transactions)

    async def _label(self, labels: Sequence[Label]) -> list[LabelOutcome]:
        async with asyncio.timeout(self._timeout):
            return await self._store.label(labels)


async def _in_time(answer: Awaitable[Answer]) -> Answer:
    """Wait for the store's answer.

    Raises:
        ServiceAway: There was none in time.
    """
    try:
        return await answer
    except (RedisError, OSError, TimeoutError, Overloaded) as error:
        raise ServiceAway(f"the feature store is away ({type(error).__name__})") from error
