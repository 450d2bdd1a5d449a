from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from redis.exceptions import BusyLoadingError
from redis.exceptions import ConnectionError as RedisConnectionError

from functions.feature_updater.updater import Updater
from shared.contracts import cloudevents
from shared.contracts.cloudevents import Event, PoisonEvent
from shared.features.catalogue import CATALOGUE
from shared.hosts.outcome import Outcome, ServiceAway, run, run_together
from tests.support.fakes.feature_store import FakeStore
from tests.support.metrics import Change
from tests.support.transactions import body


def event(data: bytes | None = None, type_: str = cloudevents.TRANSACTION, **changes: Any) -> Event:
    return Event(
        id="e", source="/s", type=type_, data=body(**changes) if data is None else data, partition_key="card-1"
    )


def label(**changes: Any) -> bytes:
    document = {
        "transaction_id": "tx-1",
        "card_id": "card-1",
        "merchant_id": "m-1",
        "event_time": "2026-01-15T12:30:45.250Z",
        "is_fraud": True,
        "label_time": "2026-01-25T08:00:00Z",
        "source": "chargeback",
        "pattern": "card_testing",
        **changes,
    }
    return orjson.dumps(document)


def in_minutes(minutes: float) -> str:
    return (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat()


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


@pytest.fixture
def updater(store: FakeStore) -> Updater:
    return Updater(store, CATALOGUE.settings, timeout_seconds=0.1)


class TestTransactions:
    async def test_are_recorded_once_however_often_they_come(self, updater: Updater, store: FakeStore) -> None:
        change = Change()
        for _ in range(3):
            await updater.handle(event())
        assert list(store.cards["card-1"]) == ["tx-1"]
        assert change.of("fraud_feature_updates_total", status="new") == 1
        assert change.of("fraud_feature_updates_total", status="seen") == 2

    async def test_of_a_known_id_with_other_content_are_counted_as_conflicts(
        self, updater: Updater, store: FakeStore
    ) -> None:
        change = Change()
        await updater.handle(event())
        await updater.handle(event(amount="50.00"))
        assert store.cards["card-1"]["tx-1"].amount_minor == 4990
        assert change.of("fraud_feature_updates_total", status="conflict") == 1

    async def test_that_wait_together_share_a_round_trip(self, updater: Updater, store: FakeStore) -> None:
        await asyncio.gather(*[updater.handle(event(transaction_id=f"tx-{number}")) for number in range(20)])
        assert [len(batch) for batch in store.batches] == [20]
        assert list(store.cards["card-1"]) == [f"tx-{number}" for number in range(20)]

    async def test_may_have_fields_of_later_versions(self, updater: Updater, store: FakeStore) -> None:
        await updater.handle(event(loyalty_tier="gold"))
        assert len(store.cards) == 1

    async def test_a_little_ahead_of_the_clock_are_taken(self, updater: Updater, store: FakeStore) -> None:
        await updater.handle(event(timestamp=in_minutes(4)))
        assert len(store.cards) == 1

    async def test_far_ahead_of_the_clock_are_poison(self, updater: Updater, store: FakeStore) -> None:
        for timestamp in (in_minutes(6), "9999-12-31T23:59:59-23:59"):
            with pytest.raises(PoisonEvent, match="timestamp"):
                await updater.handle(event(timestamp=timestamp))
        assert store.calls == 0


class TestPoison:
    @pytest.mark.parametrize(
        "type_", [cloudevents.DECISION, cloudevents.SHADOW, cloudevents.PLAIN_KAFKA, cloudevents.PING, "x"]
    )
    async def test_is_any_other_event(self, updater: Updater, store: FakeStore, type_: str) -> None:
        handled = await run(updater.handle, event(type_=type_))
        assert handled.outcome is Outcome.POISON
        assert store.calls == 0

    @pytest.mark.parametrize(
        "data",
        [b"", b"null", b"{}", b"\xff", b"[" * 100_000, body(amount="x"), body(card_id="4111111111111111"), body()[:-1]],
        ids=lambda data: repr(data[:20]),
    )
    @pytest.mark.parametrize("type_", [cloudevents.TRANSACTION, cloudevents.LABEL])
    async def test_is_hostile_data(
        self, updater: Updater, store: FakeStore, data: bytes, type_: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.INFO):
            handled = await run(updater.handle, event(data, type_))
        assert handled.outcome is Outcome.POISON
        assert handled.reason
        assert "4111" not in handled.reason + caplog.text
        assert store.calls == 0


class TestStoreAway:
    @pytest.mark.parametrize(
        "error", [RedisConnectionError("refused"), BusyLoadingError("loading"), OSError("gone"), TimeoutError()]
    )
    async def test_the_event_comes_again_and_is_applied_then(
        self, updater: Updater, store: FakeStore, error: Exception
    ) -> None:
        change = Change()
        store.error = error
        with pytest.raises(ServiceAway, match="the feature store is away"):
            await updater.handle(event())
        store.error = None
        await updater.handle(event())
        assert change.total("fraud_feature_updates_total") == 1

    async def test_no_answer_in_time_is_no_answer(self, updater: Updater, store: FakeStore) -> None:
        store.answer_when = asyncio.Event()
        async with asyncio.timeout(5):
            with pytest.raises(ServiceAway):
                await updater.handle(event())

    async def test_what_the_store_refuses_comes_again_and_the_others_are_done(
        self, updater: Updater, store: FakeStore
    ) -> None:
        change = Change()
        store.refused = {"bad"}
        events = [event(transaction_id=name) for name in ("a", "bad", "b")]
        results = await asyncio.gather(*[updater.handle(one) for one in events], return_exceptions=True)
        assert [type(result) for result in results] == [type(None), ServiceAway, type(None)]
        assert len(store.batches) == 1
        together = await run_together(updater.handle_together, events)
        assert [one.outcome for one in together] == [Outcome.DONE, Outcome.RETRY, Outcome.DONE]
        assert change.total("fraud_feature_updates_total") == 4


class TestTogether:
    async def test_transactions_share_one_call_and_each_has_its_outcome(
        self, updater: Updater, store: FakeStore
    ) -> None:
        change = Change()
        events = [
            event(transaction_id="a"),
            event(b"{}"),
            event(label(), cloudevents.LABEL),
            event(type_=cloudevents.DECISION),
            event(timestamp=in_minutes(30)),
            event(transaction_id="b"),
            event(transaction_id="a"),
        ]
        handled = await run_together(updater.handle_together, events)
        done, poison = Outcome.DONE, Outcome.POISON
        assert [one.outcome for one in handled] == [done, poison, done, poison, poison, done, done]
        assert [[one.transaction_id for one in batch] for batch in store.batches] == [["a", "b", "a"]]
        assert change.of("fraud_feature_updates_total", status="new") == 2
        assert change.of("fraud_feature_updates_total", status="seen") == 1
        assert change.of("fraud_feature_labels_total", outcome="applied") == 1
        counted = {"type": cloudevents.TRANSACTION, "outcome": "done"}
        assert change.of("fraud_events_handled_total", **counted) == 3

    async def test_all_come_again_while_the_store_is_away(self, updater: Updater, store: FakeStore) -> None:
        store.error = RedisConnectionError("refused")
        handled = await run_together(updater.handle_together, [event(transaction_id="a"), event(transaction_id="b")])
        assert [one.outcome for one in handled] == [Outcome.RETRY] * 2


class TestLabels:
    async def test_are_taken_and_counted(self, updater: Updater, store: FakeStore) -> None:
        change = Change()
        for _ in range(3):
            await updater.handle(event(label(), cloudevents.LABEL))
        await updater.handle(event(label(is_fraud=False, source="analyst", pattern=None), cloudevents.LABEL))
        assert [one.is_fraud for one in store.labels] == [True, True, True, False]
        assert change.of("fraud_feature_labels_total", outcome="applied") == 2
        assert change.of("fraud_feature_labels_total", outcome="known") == 2

    async def test_come_again_while_the_store_is_away(self, updater: Updater, store: FakeStore) -> None:
        change = Change()
        store.error = RedisConnectionError("refused")
        with pytest.raises(ServiceAway, match="the feature store is away"):
            await updater.handle(event(label(), cloudevents.LABEL))
        store.error = None
        await updater.handle(event(label(), cloudevents.LABEL))
        assert change.total("fraud_feature_labels_total") == 1

    @pytest.mark.parametrize(
        "changes",
        [{"is_fraud": "maybe"}, {"source": "rumour"}, {"label_time": "2026-01-25"}, {"card_id": None}],
        ids=str,
    )
    async def test_that_are_wrong_are_poison(self, updater: Updater, changes: dict[str, Any]) -> None:
        handled = await run(updater.handle, event(label(**changes), cloudevents.LABEL))
        assert handled.outcome is Outcome.POISON
        assert next(iter(changes)) in handled.reason
