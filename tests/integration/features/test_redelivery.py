"""The whole topic delivered again, three times in other orders, changes no answer: through the updater's own code."""

import asyncio
import random
from collections.abc import Sequence
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic
from pydantic import SecretStr
from redis.asyncio import Redis

from functions.feature_updater.composition import compose
from functions.feature_updater.settings import UpdaterSettings
from functions.feature_updater.updater import Updater
from localstack.pump.kafka_batches import invocation
from shared.contracts import cloudevents
from shared.features.catalogue import CATALOGUE
from shared.features.online import OnlineFeatures
from shared.features.online.layout import Limits
from shared.hosts.aws_kafka import KafkaTrigger
from tests.support.features.checking import Answer, mismatches, online_answers
from tests.support.features.events import event_of, in_the_past, of_the_contract
from tests.support.features.indexed import IndexedOracle
from tests.support.features.oracle import Tx
from tests.support.metrics import Change
from tests.verification.worlds import TINY, cards_in_turn

SHUFFLES = 3


def topic(seed: int) -> list[Tx]:
    """What a topic holds: many cards, ids sent again, some with another content.

    Versions of an id that differ in event time are left out. A card forgets the first once it is old enough, and then
    the second may be recorded: the first version wins only as long as it is remembered.
    """
    stream = of_the_contract(in_the_past(cards_in_turn(random.Random(seed), 1_200)))
    times: dict[tuple[str, str], int] = {}
    return [
        tx for tx in stream if times.setdefault((tx.card_id, tx.transaction_id), tx.event_time_ms) == tx.event_time_ms
    ]


def distinct(stream: Sequence[Tx]) -> list[Tx]:
    """Each transaction once, in its first version."""
    firsts: dict[tuple[str, str], Tx] = {}
    for tx in stream:
        firsts.setdefault((tx.card_id, tx.transaction_id), tx)
    return list(firsts.values())


async def deliver(updater: Updater, stream: Sequence[Tx]) -> None:
    """Hand over events as a host does: many at once, all of them until they are done."""
    for start in range(0, len(stream), 100):
        await asyncio.gather(*[updater.handle(event_of(tx)) for tx in stream[start : start + 100]])


@pytest.mark.parametrize("limits", [Limits(), TINY])
async def test_a_topic_delivered_four_times_answers_as_after_the_first(redis: Redis, limits: Limits) -> None:
    stream = topic(5)
    features, oracle = OnlineFeatures(redis, limits=limits), IndexedOracle()
    updater = Updater(features, CATALOGUE.settings, timeout_seconds=10)
    rng = random.Random(5)
    asked = distinct(stream)

    async def answers() -> list[Answer]:
        """Every remembered transaction read again: recorded already, so reading changes nothing."""
        wanted = [oracle.record_and_read(tx) for tx in asked]
        got = await online_answers(features, asked, 64)
        assert mismatches(asked, got, wanted) == []
        return got

    await deliver(updater, stream)
    for tx in stream:
        oracle.record_and_read(tx, read=False)
    first = await answers()
    assert {status for status, _ in first} == {"seen", "too_late"}
    for _ in range(SHUFFLES):
        again = list(stream)
        rng.shuffle(again)
        change = Change()
        await deliver(updater, again)
        statuses = [oracle.record_and_read(tx, read=False)[0] for tx in again]
        assert "new" not in statuses
        assert statuses.count("conflict") > 0
        for status in ("new", "seen", "conflict", "too_late"):
            assert change.of("fraud_feature_updates_total", status=status) == statuses.count(status)
        assert await answers() == first
    await features.aclose()


def consumed(bootstrap: str, name: str, trigger: KafkaTrigger, count: int) -> None:
    """Let the function's Kafka trigger take so many records of a topic, in invocations as AWS makes them."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": name, "auto.offset.reset": "earliest"})
    consumer.subscribe([name])
    try:
        while count > 0:
            messages = consumer.consume(500, 1.0)
            assert trigger(invocation(messages)) == {"batchItemFailures": []}
            count -= len(messages)
    finally:
        consumer.close()


def test_a_real_topic_with_everything_four_times_answers_as_the_oracle(kafka_bootstrap: str, redis_url: str) -> None:
    """The same through a real topic and the function's own trigger: each copy follows in an order of its own."""
    stream, name = topic(6), f"redelivery-{uuid4()}"
    admin = AdminClient({"bootstrap.servers": kafka_bootstrap})
    admin.create_topics([NewTopic(name, 3)])[name].result(20)
    settings = UpdaterSettings(redis_url=SecretStr(redis_url), kafka_bootstrap_servers=kafka_bootstrap)
    trigger = compose(settings).kafka_trigger
    producer = Producer({"bootstrap.servers": kafka_bootstrap})
    rng, asked, answers = random.Random(6), distinct(stream), []
    change, copies = Change(), [stream, *[rng.sample(stream, len(stream)) for _ in range(SHUFFLES)]]
    for copy in copies:
        for tx in copy:
            key, value, headers = cloudevents.to_kafka(event_of(tx))
            producer.produce(name, value=value, key=key, headers=headers)
        assert producer.flush(30) == 0
        consumed(kafka_bootstrap, name, trigger, len(copy))
        answers.append(asyncio.run(read(redis_url, asked)))
    assert answers[1:] == answers[:1] * SHUFFLES
    oracle = IndexedOracle()
    statuses = [oracle.record_and_read(tx, read=False)[0] for copy in copies for tx in copy]
    for status in ("new", "seen", "conflict", "too_late"):
        assert change.of("fraud_feature_updates_total", status=status) == statuses.count(status)
    assert mismatches(asked, answers[0], [oracle.record_and_read(tx) for tx in asked]) == []


async def read(redis_url: str, asked: Sequence[Tx]) -> list[Answer]:
    async with Redis.from_url(redis_url) as client:
        return await online_answers(OnlineFeatures(client), asked, 64)
