"""Events on the topics that the archiver drains, with copies and junk between them, and a ledger of what was sent."""

from __future__ import annotations

import random
import threading
import time
from collections import defaultdict
from typing import Any

import orjson
import pyarrow as pa
from confluent_kafka import Producer

from shared.bus import topics
from shared.bus.publisher import producer_settings
from shared.contracts import cloudevents
from shared.contracts.cloudevents import Event
from shared.contracts.decision import decision_id
from shared.contracts.event_time import now_milliseconds, to_rfc3339
from shared.features.catalogue import CATALOGUE
from shared.lake.lake import Lake
from shared.lake.schema import TABLES, TableName
from tests.support.transactions import wire

DAY_MS = 86_400_000
IDENTITY: dict[TableName, tuple[str, ...]] = {
    "transactions": ("transaction_id", "amount_minor"),
    "decisions": ("transaction_id", "decision_id"),
    "shadows": ("transaction_id", "challenger_model_version"),
    "labels": ("transaction_id", "is_fraud"),
}
"""Columns in which no two of the events made here agree; the first is the transaction."""


class Traffic:
    """Makes events, publishes them and remembers them.

    Every fifth event is published twice, half of these long after and on another partition; every fiftieth record is
    junk.
    """

    def __init__(self, bootstrap_servers: str, seed: int) -> None:
        self._producer = Producer(producer_settings(bootstrap_servers, 100_000))
        self._chance = random.Random(seed)
        self.run = f"{seed}-{now_milliseconds():x}"
        self._number = 0
        self._again: list[tuple[str, Event]] = []
        self.sent: dict[TableName, set[tuple[Any, ...]]] = defaultdict(set)
        self.records = 0
        self.junk = 0

    def send(self, count: int) -> None:
        """Publish so many transactions with all that follows from them; returns once Kafka has everything."""
        for _ in range(count):
            self._one()
            self._producer.poll(0)
        assert self._producer.flush(60) == 0

    def _one(self) -> None:
        chance, number = self._chance, self._number
        self._number += 1
        late = chance.choice([0, 0, 0, chance.randrange(2 * DAY_MS)])
        moment = now_milliseconds() - late
        id_, card = f"{self.run}-{number}", f"card-{number % 50}"
        amount = chance.randrange(1, 100_000)
        transaction = wire(
            transaction_id=id_, card_id=card, timestamp=to_rfc3339(moment), amount=f"{amount // 100}.{amount % 100:02d}"
        )
        self._publish("transactions", (id_, amount), cloudevents.TRANSACTION, id_, transaction)
        if number % 40 == 0:  # another version of the same id
            changed = transaction | {"amount": "1234567.89"}
            self._publish("transactions", (id_, 123_456_789), cloudevents.TRANSACTION, id_, changed)
        decision = decision_id(moment, id_, "1", "p")
        self._publish(
            "decisions", (id_, decision), cloudevents.DECISION, decision, self._decision(transaction, decision)
        )
        shadow = {
            "decision_id": decision,
            "transaction_id": id_,
            "card_id": card,
            "champion": {"model_version": "1", "policy_version": "p", "decision": "approve", "score": 0.01},
            "challenger": {"model_version": "2", "policy_version": "p", "decision": "review", "score": 0.2},
            "agree": False,
            "as_of": transaction["timestamp"],
            "scored_at": to_rfc3339(now_milliseconds()),
        }
        self._publish("shadows", (id_, "2"), cloudevents.SHADOW, f"{decision}/2", shadow)
        if number % 5 == 0:
            label = {
                "transaction_id": id_,
                "card_id": card,
                "merchant_id": transaction["merchant_id"],
                "event_time": transaction["timestamp"],
                "is_fraud": number % 10 == 0,
                "label_time": to_rfc3339(now_milliseconds()),
                "source": "analyst",
            }
            self._publish("labels", (id_, label["is_fraud"]), cloudevents.LABEL, f"{id_}/label", label)

    def _decision(self, transaction: dict[str, Any], identity: str) -> dict[str, Any]:
        values = {name: self._chance.choice([None, self._chance.randrange(99)]) for name in CATALOGUE.names}
        return {
            "transaction_id": transaction["transaction_id"],
            "decision": "approve",
            "score": self._chance.random(),
            "reasons": [],
            "model_version": "1",
            "policy_version": "p",
            "as_of": transaction["timestamp"],
            "degraded": False,
            "decision_id": identity,
            "transaction": transaction,
            "features": values,
            "feature_status": "new",
            "catalogue_version": CATALOGUE.version,
            "decided_at": to_rfc3339(now_milliseconds()),
        }

    def _publish(self, table: TableName, identity: tuple[Any, ...], type_: str, id_: str, data: dict[str, Any]) -> None:
        event = Event(id_, "/traffic", type_, orjson.dumps(data), partition_key=data.get("card_id", id_))
        topic = TABLES[table].topic
        self._produce(topic, event)
        self.sent[table].add(identity)
        chance = self._chance.random()
        if chance < 0.1:
            self._produce(topic, event)
        elif chance < 0.2:
            self._again.append((topic, event))
        if self._again and self._chance.random() < 0.1:
            self._produce(*self._again.pop(self._chance.randrange(len(self._again))), anywhere=True)
        if self._chance.random() < 0.02:
            self.junk += 1
            self.records += 1
            self._producer.produce(topic, b"junk", f"junk-{self.run}-{self.junk}".encode())

    def _produce(self, topic: str, event: Event, *, anywhere: bool = False) -> None:
        key, value, headers = cloudevents.to_kafka(event)
        partition = self._chance.randrange(topics.PARTITIONS) if anywhere else -1
        self._producer.produce(topic, value, key, headers=[*headers], partition=partition)
        self.records += 1


class SteadyTraffic:
    """Traffic in the background, from entry to exit of a block."""

    def __init__(self, traffic: Traffic, per_second: float) -> None:
        self._traffic = traffic
        self._pause = 10 / per_second
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._go)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _go(self) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            self._traffic.send(10)
            self._stop.wait(max(0.0, self._pause - (time.monotonic() - began)))


def differences(lake: Lake, traffic: Traffic) -> dict[TableName, tuple[int, int, int]]:
    """Rows, events lost and rows too many of each table, against what was sent; other traffic's rows do not count."""
    found = {}
    for name, identities in traffic.sent.items():
        rows: pa.Table = lake.read(name, IDENTITY[name])
        archived = [
            row
            for row in zip(*(rows[column].to_pylist() for column in IDENTITY[name]), strict=True)
            if row[0].startswith(f"{traffic.run}-")
        ]
        distinct = set(archived)
        double = len(archived) - len(distinct) + len(distinct - identities)
        found[name] = (len(archived), len(identities - distinct), double)
    return found
