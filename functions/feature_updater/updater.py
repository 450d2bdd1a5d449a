"""Applying events to the feature store."""

import asyncio
from collections import Counter as Counting
from collections.abc import Awaitable, Sequence
from typing import Final, Protocol, TypeVar

from prometheus_client import Counter
from pydantic import ValidationError
from redis.exceptions import RedisError, ResponseError

from shared.batching import Batcher, Overloaded
from shared.contracts import cloudevents
from shared.contracts.cloudevents import Event, PoisonEvent
from shared.contracts.event_time import now_milliseconds
from shared.contracts.label import Label
from shared.contracts.transaction import Transaction
from shared.features.catalogue import Settings
from shared.features.online import LabelOutcome, ReadStatus
from shared.hosts.outcome import Handled, Outcome, ServiceAway, poisoned

Answer = TypeVar("Answer")
UPDATES: Final = Counter("fraud_feature_updates_total", "Transaction events applied to the feature store.", ["status"])
LABELS: Final = Counter("fraud_feature_labels_total", "Label events, by what became of them.", ["outcome"])

_AWAY: Final = (RedisError, OSError, TimeoutError)
_REFUSED: Final = "the feature store refuses the transaction"


class FeatureStore(Protocol):
    """The online feature engine."""

    async def record_each(self, transactions: Sequence[Transaction]) -> list[ReadStatus | ResponseError]:
        """Record transactions at card and merchant; what is known already stays as it is."""

    async def label(self, labels: Sequence[Label]) -> list[LabelOutcome]:
        """Take in labels; what is known already changes nothing."""


class Updater:
    """Applies events; those that wait at the same moment share a round trip.

    An event that the scorer or an earlier delivery has recorded already changes nothing. The event is done once both
    card and merchant have it.
    """

    def __init__(self, store: FeatureStore, settings: Settings, timeout_seconds: float) -> None:
        self._store = store
        self._settings = settings
        self._timeout = timeout_seconds
        self._transactions: Batcher[Transaction, ReadStatus | ResponseError] = Batcher(
            self._record, deadline_seconds=timeout_seconds, common_errors=_AWAY
        )
        self._labels: Batcher[Label, LabelOutcome] = Batcher(
            self._label, deadline_seconds=timeout_seconds, common_errors=_AWAY
        )

    async def handle(self, event: Event) -> None:
        """Apply one event: a transaction, or a label.

        Raises:
            PoisonEvent: It is neither, or a transaction from the future.
            pydantic.ValidationError: A field is wrong.
            ServiceAway: The feature store did not answer in time, or refused the transaction.
        """
        parsed = self._parsed(event)
        if isinstance(parsed, Label):
            outcome = await _in_time(self._labels.submit(parsed))
            LABELS.labels(outcome.name.lower()).inc()
        else:
            status = await _in_time(self._transactions.submit(parsed))
            if isinstance(status, ResponseError):
                raise ServiceAway(_REFUSED) from status
            UPDATES.labels(status.name.lower()).inc()

    async def handle_together(self, events: Sequence[Event]) -> list[Handled]:
        """Apply several events, transactions together and then labels together, and say what came of each.

        Raises:
            ServiceAway: The feature store did not answer in time.
        """
        handled: list[Handled] = []
        transactions: dict[int, Transaction] = {}
        labels: list[Label] = []
        for place, event in enumerate(events):
            try:
                parsed = self._parsed(event)
            except (PoisonEvent, ValidationError) as error:
                handled.append(poisoned(error))
                continue
            handled.append(Handled(Outcome.DONE))
            if isinstance(parsed, Label):
                labels.append(parsed)
            else:
                transactions[place] = parsed
        statuses = await _in_time(self._record([*transactions.values()])) if transactions else []
        for place, status in zip(transactions, statuses, strict=True):
            if isinstance(status, ResponseError):
                handled[place] = Handled(Outcome.RETRY, _REFUSED)
            else:
                UPDATES.labels(status.name.lower()).inc()
        outcomes = await _in_time(self._label(labels)) if labels else []
        for outcome, number in Counting(outcomes).items():
            LABELS.labels(outcome.name.lower()).inc(number)
        return handled

    def _parsed(self, event: Event) -> Transaction | Label:
        if event.type == cloudevents.LABEL:
            return Label.model_validate_json(event.data)
        if event.type != cloudevents.TRANSACTION:
            raise PoisonEvent(f"expected an event of type {cloudevents.TRANSACTION} or {cloudevents.LABEL}")
        transaction = Transaction.from_event(event.data)
        if self._settings.refuses(transaction.event_time_ms, now_milliseconds()):
            raise PoisonEvent("timestamp: lies too far ahead of the clock")
        return transaction

    async def _record(self, transactions: Sequence[Transaction]) -> list[ReadStatus | ResponseError]:
        async with asyncio.timeout(self._timeout):
            return await self._store.record_each(transactions)

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
    except (*_AWAY, Overloaded) as error:
        raise ServiceAway(f"the feature store is away ({type(error).__name__})") from error
