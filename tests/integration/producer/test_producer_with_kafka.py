"""The producer against a real broker and a scorer of the test's own."""

import asyncio
import time
from collections import Counter
from datetime import UTC, datetime

import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from confluent_kafka import Consumer, TopicPartition

from functions.producer.composition import produce
from functions.producer.settings import ProducerSettings
from shared.bus.topics import LABELS, PARTITIONS, TRANSACTIONS
from shared.contracts import cloudevents
from shared.contracts.label import Label
from shared.contracts.transaction import Transaction


class Scorer:
    """Overloaded for every tenth question; declines what is large."""

    def __init__(self):
        self.asked = Counter()
        self.traces = {}

    async def score(self, request):
        transaction = Transaction.from_wire(await request.read())
        self.asked[transaction.transaction_id] += 1
        self.traces[transaction.transaction_id] = request.headers["traceparent"]
        if sum(self.asked.values()) % 10 == 0:
            return web.Response(status=503)
        decision = "decline" if transaction.amount_minor > 50_000 else "approve"
        return web.json_response({"decision": decision, "degraded": False})


def read_all(kafka_bootstrap, topic, since_ms):
    """Read what a topic has got since a moment of the broker's clock, with the partition of each event."""
    consumer = Consumer(
        {"bootstrap.servers": kafka_bootstrap, "group.id": "test-producer", "enable.auto.commit": False}
    )
    partitions = [TopicPartition(topic, number, since_ms) for number in range(PARTITIONS)]
    begins = consumer.offsets_for_times(partitions, timeout=10)
    ends = [consumer.get_watermark_offsets(partition, timeout=10)[1] for partition in begins]
    wanted = [(begin, end) for begin, end in zip(begins, ends, strict=True) if 0 <= begin.offset < end]
    consumer.assign([begin for begin, _ in wanted])
    found = []
    for _ in range(sum(end - begin.offset for begin, end in wanted)):
        message = consumer.poll(10)
        assert message is not None, "the broker has more than it gives"
        assert message.error() is None, message.error()
        found.append((message.partition(), cloudevents.from_kafka(message.key(), message.value(), message.headers())))
    consumer.close()
    return found


@pytest.fixture
async def scorer():
    scorer = Scorer()
    app = web.Application()
    app.router.add_post("/v1/score", scorer.score)
    async with TestServer(app) as server:
        scorer.url = str(server.make_url("/"))
        yield scorer


async def test_every_transaction_and_label_reaches_kafka_and_the_scorer(kafka_bootstrap, scorer):
    since_ms = int(time.time() * 1e3)
    settings = ProducerSettings(
        KAFKA_BOOTSTRAP_SERVERS=kafka_bootstrap,
        SCORER_URL=scorer.url,
        rate=400,
        speedup=2_000,
        count=1_500,
        fraud_share=0.05,
        label_delay="1s-10m",
        start=datetime(2026, 1, 15, 14, tzinfo=UTC),  # an hour of average traffic, whenever the test runs
    )
    document = await produce(settings, stop=asyncio.Event())

    assert document["transactions"] == 1_500
    assert document["events_undelivered"] == 0
    assert document["stand_ins"] == {}
    assert document["retries"] > 0
    assert sum(document["decisions"].values()) == 1_500 + document["duplicates"]
    assert document["seconds"] > 0.7 * 1_500 / 400  # not faster than its schedule; a busy machine may fall behind

    transactions = await asyncio.to_thread(read_all, kafka_bootstrap, TRANSACTIONS, since_ms)
    labels = await asyncio.to_thread(read_all, kafka_bootstrap, LABELS, since_ms)
    assert len(transactions) == 1_500 + document["duplicates"]
    assert {event.id for _, event in transactions} == set(scorer.asked)
    assert len(labels) == document["labels"] > 0

    partitions = {}
    for partition, event in transactions:
        transaction = Transaction.from_event(event.data)
        assert event.type == cloudevents.TRANSACTION
        assert event.partition_key == transaction.card_id
        assert partitions.setdefault(transaction.card_id, partition) == partition
    traces = {event.id: event.traceparent for _, event in transactions}
    once = [id_ for id_, times in Counter(event.id for _, event in transactions).items() if times == 1]
    assert all(traces[id_] == scorer.traces[id_] for id_ in once)
    for partition, event in labels:
        label = Label.model_validate_json(event.data)
        assert (event.subject, event.partition_key) == (label.transaction_id, label.card_id)
        assert partitions[label.card_id] == partition
        assert orjson.loads(event.data)["pattern"] is not None


async def test_without_a_scorer_the_events_still_flow(kafka_bootstrap):
    since_ms = int(time.time() * 1e3)
    settings = ProducerSettings(
        KAFKA_BOOTSTRAP_SERVERS=kafka_bootstrap,
        SCORER_URL="http://127.0.0.1:1",
        rate=200,
        speedup=500,
        count=100,
        budget_ms=50,
    )
    document = await produce(settings, stop=asyncio.Event())

    assert sum(document["stand_ins"].values()) == 100 + document["duplicates"]
    found = await asyncio.to_thread(read_all, kafka_bootstrap, TRANSACTIONS, since_ms)
    assert len({event.id for _, event in found}) == 100
