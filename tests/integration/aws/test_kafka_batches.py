"""Partial batch responses of the Kafka trigger, with the function's own feature store."""

from __future__ import annotations

import asyncio
import base64
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from functions.feature_updater.composition import compose
from functions.feature_updater.settings import UpdaterSettings
from localstack.pump.kafka_batches import come_again, of_records
from shared.contracts import cloudevents
from shared.contracts.cloudevents import Event
from shared.features.online import OnlineFeatures
from shared.features.online.wire import card_key
from shared.hosts.aws_kafka import KafkaTrigger
from tests.support.fakes.kafka_producer import FakeProducer
from tests.support.servers import Valkey
from tests.support.transactions import transaction, wire

TOPIC = "fraud.transactions"
FAILING = (3, 50, 51)
POISON = 10


def document(number: int) -> dict[str, Any]:
    """Transaction of a record; each card stays in one of three partitions, the failing ones have cards of their own."""
    card = f"broken-{number}" if number in FAILING else f"kärte-{number % 30}"
    minute, second = divmod(number, 60)
    return wire(
        transaction_id=f"tx-{number}",
        card_id=card,
        amount=f"{number}.50",
        timestamp=f"2026-01-15T12:{minute:02}:{second:02}Z",
    )


def record(number: int) -> dict[str, Any]:
    """A record as Lambda hands it over: base64, headers as byte lists; every other one in structured mode."""
    data = document(number)
    value = b'{"transaction_id": 7' if number == POISON else orjson.dumps(data)
    event = Event(data["transaction_id"], "/test", cloudevents.TRANSACTION, value, partition_key=data["card_id"])
    key, body, headers = cloudevents.to_kafka(event)
    if number % 2 and number != POISON:
        body, headers = cloudevents.to_structured(event), [("content-type", b"application/cloudevents+json")]
    assert key is not None
    return {
        "topic": TOPIC,
        "partition": number % 3,
        "offset": 1_000 + number // 3,
        "timestamp": 1_768_480_245_250,
        "timestampType": "CREATE_TIME",
        "key": base64.b64encode(key).decode(),
        "value": base64.b64encode(body).decode(),
        "headers": [{name: [byte - 256 if byte > 127 else byte for byte in content]} for name, content in headers],
    }


def batch(numbers: range) -> dict[str, Any]:
    records: dict[str, list[dict[str, Any]]] = {}
    for number in numbers:
        records.setdefault(f"{TOPIC}-{number % 3}", []).append(record(number))
    return of_records(records)


def identifiers(result: dict[str, Any]) -> set[tuple[str, int]]:
    found = [failure["itemIdentifier"] for failure in result["batchItemFailures"]]
    assert len(found) == len({one["partition"] for one in found})
    return {(one["partition"], one["offset"]) for one in found}


def place(number: int) -> tuple[str, int]:
    return f"{TOPIC}-{number % 3}", 1_000 + number // 3


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Valkey]:
    with Valkey(tmp_path / "valkey") as valkey:
        yield valkey


@pytest.fixture
def dead_letters(monkeypatch: pytest.MonkeyPatch) -> FakeProducer:
    producer = FakeProducer()
    monkeypatch.setattr("shared.bus.dead_letters.Producer", lambda _settings: producer)
    return producer


@pytest.fixture
def trigger(store: Valkey, dead_letters: FakeProducer) -> KafkaTrigger:
    return compose(UpdaterSettings(redis_url=store.url, fraud_update_timeout_ms=500)).kafka_trigger


def break_cards(store: Valkey) -> None:
    """Put something that no script of ours reads in the place of the failing records' cards."""
    with Redis.from_url(store.url) as client:
        for number, suffix in itertools.product(FAILING, ":lskbt"):
            client.rpush(card_key(f"broken-{number}") + (suffix if suffix == ":" else f":{suffix}"), "not ours")


def mend_cards(store: Valkey) -> None:
    with Redis.from_url(store.url) as client:
        for number in FAILING:
            client.delete(*client.keys(card_key(f"broken-{number}") + "*"))


def vectors(store: Valkey, numbers: range) -> dict[str, Any]:
    """What the store knows of every card and merchant, as a later transaction sees it."""

    async def read() -> dict[str, Any]:
        async with AsyncRedis.from_url(store.url) as client:
            cards = sorted({document(number)["card_id"] for number in numbers if number != POISON})
            probes = [
                transaction(transaction_id="probe", card_id=card, timestamp="2026-01-15T12:59:00Z") for card in cards
            ]
            reads = await OnlineFeatures(client).record_and_read(probes)
            return {card: read.values for card, read in zip(cards, reads, strict=True)}

    return asyncio.run(read())


def in_order(folder: Path, numbers: range) -> dict[str, Any]:
    """The same of a store that was told every valid transaction once, one after the other."""
    with Valkey(folder) as store:

        async def tell() -> None:
            async with AsyncRedis.from_url(store.url) as client:
                features = OnlineFeatures(client)
                for number in numbers:
                    if number != POISON:
                        await features.record([transaction(**document(number))])

        asyncio.run(tell())
        return vectors(store, numbers)


def test_exactly_the_failed_records_and_the_later_ones_of_their_partitions_come_again(
    store: Valkey, trigger: KafkaTrigger, dead_letters: FakeProducer, tmp_path: Path
) -> None:
    numbers = range(100)
    break_cards(store)
    payload = batch(numbers)
    assert {len(records) for records in payload["records"].values()} == {33, 34}

    result = trigger(payload)
    assert identifiers(result) == {place(3), place(50)}  # 51 comes after 3 in its partition
    assert [sent.key for sent in dead_letters.acknowledged] == [document(POISON)["card_id"].encode()]

    again = of_records(come_again(payload, result))
    assert {name: len(records) for name, records in again["records"].items()} == {f"{TOPIC}-0": 33, f"{TOPIC}-2": 17}
    assert identifiers(trigger(again)) == {place(3), place(50)}  # still broken: nothing moves, nothing is lost

    mend_cards(store)
    assert trigger(again) == {"batchItemFailures": []}
    assert trigger(payload) == {"batchItemFailures": []}  # a whole batch delivered twice
    assert vectors(store, numbers) == in_order(tmp_path / "in-order", numbers)


def test_a_store_that_is_away_fails_the_batch_and_buries_nothing(
    store: Valkey, trigger: KafkaTrigger, dead_letters: FakeProducer, tmp_path: Path
) -> None:
    numbers = range(100)
    payload = batch(numbers)
    store.stop()
    for _ in range(2):
        assert identifiers(trigger(payload)) == {place(0), place(1), place(2)}
    before = len(dead_letters.acknowledged)
    assert before == 0
    store.start()
    assert trigger(payload) == {"batchItemFailures": []}
    assert vectors(store, numbers) == in_order(tmp_path / "in-order", numbers)
    assert len(dead_letters.acknowledged) == 1  # the poison record, once


@pytest.mark.parametrize(
    ("result", "again"),
    [
        (None, []),
        ({}, []),
        ({"batchItemFailures": []}, []),
        ({"batchItemFailures": [{"itemIdentifier": {"partition": "t-0", "offset": 5}}]}, [5, 6]),
        ({"batchItemFailures": [{"itemIdentifier": {"partition": "t-0", "offset": 9}}]}, [4, 5, 6]),
        ({"batchItemFailures": [{"itemIdentifier": {"partition": "t-9", "offset": 5}}]}, [4, 5, 6]),
        ({"batchItemFailures": [{"itemIdentifier": "x"}]}, [4, 5, 6]),
        ({"batchItemFailures": [{"itemIdentifier": {"partition": "t-0", "offset": n}} for n in (6, 5)]}, [5, 6]),
        ("nonsense", [4, 5, 6]),
    ],
)
def test_the_pump_goes_back_as_lambda_does(result: Any, again: list[int]) -> None:
    payload = of_records({"t-0": [{"offset": offset} for offset in (4, 5, 6)]})
    assert [one["offset"] for records in come_again(payload, result).values() for one in records] == again
