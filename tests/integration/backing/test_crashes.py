"""Each service killed with -9 comes back by itself with everything it acknowledged, and so after an orderly stop."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
import urllib.request
from pathlib import Path
from typing import Any

import redis
from confluent_kafka import Consumer, Producer, TopicPartition

from shared.backing.backing import Backing
from shared.backing.s3 import s3_client
from shared.bus.topics import PARTITIONS, TRANSACTIONS
from tests.support.backing import backing_settings, eventually, status_of

SERVICES = ("kafka", "redis", "s3", "mlflow")


class Acknowledged:
    """What the services acknowledged, and whether they still have it."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._kafka = environment["KAFKA_BOOTSTRAP_SERVERS"]
        self._redis = redis.Redis.from_url(environment["REDIS_URL"], decode_responses=True)
        self._s3 = s3_client(environment)
        self._mlflow = environment["MLFLOW_TRACKING_URI"] + "/api/2.0/mlflow/registered-models"
        self._records: set[bytes] = set()
        self._fields: dict[str, str] = {}
        self._objects: dict[str, bytes] = {}
        self._models: set[str] = set()

    def write(self, round_name: str, count: int = 500) -> None:
        producer = Producer({"bootstrap.servers": self._kafka, "acks": "all"})

        def acknowledged(error: Any, message: Any) -> None:
            assert error is None
            self._records.add(message.value())

        for number in range(count):
            value = f"{round_name}-{number}"
            producer.produce(TRANSACTIONS, key=str(number), value=value, on_delivery=acknowledged)
            assert self._redis.hset("fields", value, str(number)) == 1
            self._fields[value] = str(number)
        assert producer.flush(30) == 0
        for number in range(20):
            key, body = f"{round_name}/{number}", os.urandom(10_000)
            self._s3.put_object(Bucket="fraud-lake", Key=key, Body=body)
            self._objects[key] = body
        self._post("create", {"name": round_name})
        self._models.add(round_name)

    def check(self) -> None:
        with urllib.request.urlopen(f"{self._mlflow}/search") as answer:
            assert {one["name"] for one in json.load(answer)["registered_models"]} == self._models
        self.check_data()

    def check_data(self) -> None:
        assert self._redis.hgetall("fields") == self._fields
        listed = self._s3.list_objects_v2(Bucket="fraud-lake")["Contents"]
        assert {one["Key"] for one in listed} == self._objects.keys()
        for key, body in self._objects.items():
            assert self._s3.get_object(Bucket="fraud-lake", Key=key)["Body"].read() == body
        assert sorted(self._consumed()) == sorted(self._records)

    def _consumed(self) -> list[bytes]:
        consumer = Consumer({"bootstrap.servers": self._kafka, "group.id": "check", "enable.auto.commit": False})
        consumer.assign([TopicPartition(TRANSACTIONS, number, 0) for number in range(PARTITIONS)])
        values: list[bytes] = []
        # One poll more than there are records shows a duplicate or a stray one.
        while (message := consumer.poll(3 if len(values) < len(self._records) else 0.2)) is not None:
            if message.error() is None:
                values.append(message.value())
        consumer.close()
        return values

    def _post(self, call: str, body: dict[str, str]) -> None:
        request = urllib.request.Request(
            f"{self._mlflow}/{call}", json.dumps(body).encode(), {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request) as answer:
            assert answer.status == 200


async def test_killed_services_come_back_with_what_they_acknowledged(tmp_path: Path) -> None:
    settings = backing_settings(tmp_path)
    async with Backing(settings) as backing:
        told = Acknowledged(backing.environment)
        await asyncio.to_thread(told.write, "first")
        for name in SERVICES:
            pid = status_of(backing, name).pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
        await eventually(lambda: all(status.restarts == 1 and status.state == "ready" for status in backing.status()))
        await asyncio.to_thread(told.check)
        await asyncio.to_thread(told.write, "second")
    assert [status.pid for status in backing.status()] == [None] * len(SERVICES)

    # MLflow, whose start takes as long as all others' together, has shown what its database keeps.
    async with Backing(settings, only=frozenset(SERVICES) - {"mlflow"}):
        await asyncio.to_thread(told.check_data)


async def test_a_killed_broker_serves_again_within_seconds(tmp_path: Path) -> None:
    async with Backing(backing_settings(tmp_path), only=frozenset({"kafka"})) as backing:
        pid = status_of(backing, "kafka").pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        # Two seconds of it pass until the old registration has lapsed; with Kafka's default it would be twelve.
        await eventually(lambda: status_of(backing, "kafka").restarts == 1, seconds=1)
        await eventually(lambda: status_of(backing, "kafka").state == "ready", seconds=11)


async def test_a_megabyte_fits_in_a_record(kafka_bootstrap: str) -> None:
    delivered = threading.Event()

    def acknowledged(error: Any, _: Any) -> None:
        assert error is None
        delivered.set()

    producer = Producer({"bootstrap.servers": kafka_bootstrap, "message.max.bytes": 2_000_000})
    producer.produce("fraud.dead-letters", value=os.urandom(1_000_000), on_delivery=acknowledged)
    assert await asyncio.to_thread(producer.flush, 30) == 0
    assert delivered.is_set()
