"""Event-triggered functions as processes, with a real feature store and a real broker."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Message, TopicPartition
from redis.asyncio import Redis

from shared.bus import topics
from shared.contracts import cloudevents
from shared.contracts.cloudevents import Event
from shared.contracts.shadow import Shadow
from shared.contracts.transaction import Transaction
from shared.features.catalogue import CATALOGUE
from shared.features.online import OnlineFeatures
from shared.hosts.aws_kafka import KafkaTrigger
from shared.registry.disk_copy import DiskCopy, StoredModel
from tests.support.decisions import TRACEPARENT, decision_event, features
from tests.support.events import Golden, golden
from tests.support.features.valkey import free_port
from tests.support.scoring.small_bundle import score_of, small_bundle
from tests.support.servers import FunctionProcess, Valkey
from tests.support.transactions import transaction, wire

TRACE = TRACEPARENT[3:35]


def payload(name: str) -> Golden:
    host = name.split("/", maxsplit=1)[0]
    return next(parameter.values[0] for parameter in golden(host) if parameter.values[0].name == name)  # type: ignore[no-any-return]


def deliver(process: FunctionProcess, event: Event) -> int:
    headers, body = cloudevents.to_http(event)
    return process.post("/", body, headers).status


def transaction_event(**changes: object) -> Event:
    data = wire(**changes)
    return Event(
        id=data["transaction_id"],
        source="/test",
        type=cloudevents.TRANSACTION,
        data=json.dumps(data).encode(),
        partition_key=data["card_id"],
        traceparent=TRACEPARENT,
    )


def records(bootstrap: str, topic: str, wanted: int, key: bytes, since_ms: int = 0) -> list[Message]:
    """The first records of a key on a topic, from a time on: the session's other tests write there too."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "test", "auto.offset.reset": "earliest"})
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(topics.PARTITIONS)])
    found: list[Message] = []
    deadline = time.monotonic() + 20
    while len(found) < wanted and time.monotonic() < deadline:
        message = consumer.poll(0.2)
        if message is None or message.error() is not None or message.key() != key:
            continue
        if message.timestamp()[1] >= since_ms:
            found.append(message)
    consumer.close()
    return found


class TestUpdater:
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Valkey]:
        with Valkey(tmp_path / "valkey") as valkey:
            yield valkey

    @pytest.fixture
    def updater(self, store: Valkey, tmp_path: Path) -> Iterator[FunctionProcess]:
        environment = {"REDIS_URL": store.url, "FRAUD_UPDATE_TIMEOUT_MS": "500"}
        with FunctionProcess.under_uvicorn("feature_updater", tmp_path / "updater", environment) as process:
            process.wait("/health/readiness")
            yield process

    def count(self, store: Valkey, **changes: object) -> object:
        async def read() -> object:
            async with Redis.from_url(store.url) as client:
                one: Transaction = transaction(**changes)
                [found] = await OnlineFeatures(client).record_and_read([one])
                return dict(zip(CATALOGUE.names, found.values, strict=True))["txn_count_10m"]

        return asyncio.run(read())

    def test_counts_each_transaction_once_however_often_it_comes(self, updater: FunctionProcess, store: Valkey) -> None:
        for number in (0, 1, 2, 1, 0, 2, 2):
            assert deliver(updater, transaction_event(transaction_id=f"tx-{number}")) == 202
        assert self.count(store, transaction_id="tx-2") == 3
        metrics = updater.metrics()
        assert metrics['fraud_feature_updates_total{status="new"}'] == 3
        assert metrics['fraud_feature_updates_total{status="seen"}'] == 4
        lines = [json.loads(line) for line in updater.logged().splitlines()]
        assert sum(line.get("trace_id") == TRACE for line in lines) == 7

    def test_asks_for_the_event_again_while_the_store_is_away(self, updater: FunctionProcess, store: Valkey) -> None:
        assert deliver(updater, transaction_event(transaction_id="before")) == 202
        store.stop()
        headers, body = cloudevents.to_http(transaction_event(transaction_id="during"))
        answer = updater.post("/", body, headers)
        assert answer.status == 503
        assert int(answer.headers["retry-after"]) >= 1
        assert updater.get("/health/readiness").status == 200  # it is not the function that is ill
        store.start()
        assert deliver(updater, transaction_event(transaction_id="during")) == 202
        assert self.count(store, transaction_id="during") == 2

    def test_labels_make_the_risk_of_their_merchant(self, updater: FunctionProcess, store: Valkey) -> None:
        def label(**changes: object) -> Event:
            data = {
                "transaction_id": "tx-0",
                "card_id": "card-1",
                "merchant_id": "m-1",
                "event_time": "2026-01-15T12:30:45.250Z",
                "is_fraud": True,
                "label_time": "2026-01-20T08:00:00Z",
                "source": "chargeback",
                **changes,
            }
            return Event(id="label", source="/test", type=cloudevents.LABEL, data=json.dumps(data).encode())

        def risk() -> object:
            async def read() -> object:
                async with Redis.from_url(store.url) as client:
                    one = transaction(transaction_id="later", timestamp="2026-01-23T00:00:00Z")
                    [found] = await OnlineFeatures(client).record_and_read([one])
                    return dict(zip(CATALOGUE.names, found.values, strict=True))["merchant_risk_1d"]

            return asyncio.run(read())

        for event in (label(), *[transaction_event(transaction_id=f"tx-{number}") for number in range(4)], label()):
            assert deliver(updater, event) == 202
        assert risk() == 0.25
        assert deliver(updater, label(is_fraud=False, label_time="2026-01-21T08:00:00Z", source="analyst")) == 202
        assert risk() == 0.0
        metrics = updater.metrics()
        outcomes = {
            name: metrics[f'fraud_feature_labels_total{{outcome="{name}"}}'] for name in ("waiting", "known", "applied")
        }
        assert outcomes == {"waiting": 1, "known": 1, "applied": 1}

    @pytest.mark.parametrize("name", ["knative/label_binary", "knative/label_structured"])
    def test_takes_labels(self, updater: FunctionProcess, name: str) -> None:
        request = payload(name).request
        assert updater.post("/", payload(name).body, request["headers"]).status == 202


class TestShadow:
    @pytest.fixture
    def shadow(self, kafka_bootstrap: str, tmp_path: Path) -> Iterator[FunctionProcess]:
        bundle = small_bundle()
        stored = StoredModel("8", "run-8", hashlib.sha256(bundle).hexdigest(), bundle)
        DiskCopy(tmp_path / "state" / "models" / "fraud" / "challenger").store(stored)
        environment = {
            "KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap,
            "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{free_port()}",
            "FRAUD_STATE_DIR": str(tmp_path / "state"),
        }
        with FunctionProcess.under_uvicorn("shadow_scorer", tmp_path / "shadow", environment) as process:
            process.wait("/health/readiness")
            yield process

    def test_publishes_the_challengers_opinion_in_the_same_trace(
        self, shadow: FunctionProcess, kafka_bootstrap: str
    ) -> None:
        began_ms = int(time.time() * 1e3)
        values = features(amount=200_000)
        event = decision_event(1, values=values)
        assert deliver(shadow, event) == 202
        assert deliver(shadow, event) == 202
        assert deliver(shadow, decision_event(2, values=features())) == 202
        first, again, other = records(kafka_bootstrap, topics.SHADOWS, 3, b"card-1", began_ms)
        read = [
            cloudevents.from_kafka(one.key(), one.value(), one.headers()) for one in (first, again, other)
        ]  # fmt: skip
        assert read[0].id == read[1].id != read[2].id
        opinion = Shadow.model_validate_json(read[0].data)
        assert opinion.challenger.model_version == "8"
        assert opinion.challenger.score == pytest.approx(score_of(values), abs=1e-6)
        assert {one.traceparent[3:35] for one in read if one.traceparent} == {TRACE}
        metrics = shadow.metrics()
        assert metrics['shadow_agreement_percent{scope="all"}'] == 50  # the redelivered one counts once
        assert metrics['fraud_model_info{alias="challenger",version="8"}'] == 1


def test_a_poison_record_of_a_lambda_batch_reaches_the_dead_letters(kafka_bootstrap: str) -> None:
    async def handle(_event: Event) -> None:
        raise AssertionError("nothing here is an event")

    batch = {
        "eventSource": "aws:SelfManagedKafka",
        "records": {
            "fraud.transactions-3": [
                {
                    "topic": "fraud.transactions",
                    "partition": 3,
                    "offset": 17,
                    "key": "bGFtYmRhLWNhcmQ=",
                    "value": "/w==",
                    "headers": [{"x": [1, -1]}],
                }
            ]
        },
    }
    assert KafkaTrigger(handle, kafka_bootstrap)(batch) == {"batchItemFailures": []}
    [dead] = records(kafka_bootstrap, topics.DEAD_LETTERS, 1, b"lambda-card")
    headers = dict(dead.headers())
    assert dead.value() == b"\xff"
    assert headers["x"] == b"\x01\xff"
    assert headers["ce_knativeerrordata"] == b"not a CloudEvent of specversion 1.0"
    assert headers["ce_knativeerrordest"] == b"fraud.transactions/3/17"
