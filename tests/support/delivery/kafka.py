"""A real broker of a test's own, and short ways to write to it and look into it."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

import psutil
from confluent_kafka import (
    Consumer,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic

from shared.backing.ports import free_ports, is_free
from shared.emulator.delivery.record import Headers, Record

T = TypeVar("T")


def eventually(look: Callable[[], T], patience: float = 30.0, what: str = "") -> T:
    """Return what `look` returns as soon as it is true; fail after `patience` seconds."""
    deadline = time.monotonic() + patience
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {patience} s: {what or look}, last {found!r}")
        time.sleep(0.05)


def free_pair() -> int:
    """A free port whose successor is free too: the broker's, then its controller's."""
    return next(port for port in free_ports(64) if port < 65535 and is_free(port + 1))


class EmbeddedKafka:
    """The project's own embedded broker, supervised by a child process."""

    def __init__(self, home: Path, port: int) -> None:
        self.address = f"127.0.0.1:{port}"
        self._command = [sys.executable, "-m", "tests.support.delivery.broker", str(home), str(port)]

    def start(self) -> None:
        self._supervisor = psutil.Popen(self._command, stdout=subprocess.PIPE)
        assert self._supervisor.stdout.readline() == b"ready\n", "the broker did not start"
        self.admin = AdminClient({"bootstrap.servers": self.address, "reconnect.backoff.max.ms": 500})
        self._producer = Producer({"bootstrap.servers": self.address, "message.max.bytes": 2_000_000})

    def stop(self) -> None:
        del self.admin, self._producer  # while there is a broker: later their end may take for ever
        self._supervisor.terminate()
        self._supervisor.wait(60)

    def kill(self) -> None:
        """End the broker with -9; its supervisor starts it again. Returns when it answers again."""
        (broker,) = (child for child in self._supervisor.children() if "kafka.Kafka" in child.cmdline())
        broker.send_signal(signal.SIGKILL)
        eventually(lambda: not broker.is_running() or broker.status() == psutil.STATUS_ZOMBIE)
        eventually(self._answers, 60, "the broker is back")

    def _answers(self) -> bool:
        try:
            return bool(self.admin.list_topics(timeout=1).brokers)
        except KafkaException:
            return False

    def create(self, topic: str, partitions: int = 4, config: dict[str, str] | None = None) -> str:
        self.admin.create_topics([NewTopic(topic, partitions, config=config or {})])[topic].result(10)
        return topic

    def produce(
        self,
        topic: str,
        records: Iterable[tuple[bytes | None, bytes | None]],
        headers: Headers | None = None,
        partition: int = -1,
    ) -> None:
        """Write (key, value) pairs and wait until the broker has them all."""
        for key, value in records:
            self.enqueue(topic, key, value, headers, partition)
        self.flush()

    def enqueue(
        self, topic: str, key: bytes | None, value: bytes | None, headers: Headers | None = None, partition: int = -1
    ) -> None:
        while True:
            try:
                self._producer.produce(topic, value=value, key=key, headers=headers, partition=partition)
            except BufferError:
                self._producer.poll(0.1)
            else:
                return

    def flush(self) -> None:
        assert self._producer.flush(60) == 0

    @staticmethod
    def resident_megabytes(pid: int) -> float:
        return float(psutil.Process(pid).memory_info().rss) / 2**20

    def read(self, topic: str, count: int, patience: float = 30.0) -> list[Record]:
        """Read a topic from its beginning until it has given `count` records."""
        consumer = Consumer({"bootstrap.servers": self.address, "group.id": "reader", "enable.auto.commit": False})
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
        records: list[Record] = []
        deadline = time.monotonic() + patience
        while len(records) < count and time.monotonic() < deadline:
            records += [Record.from_message(m) for m in consumer.consume(500, 0.2) if _sound(m)]
        consumer.close()
        return records

    def committed(self, group: str, topic: str) -> dict[int, int]:
        """Return the committed offset by partition, partitions without one left out."""
        consumer = Consumer({"bootstrap.servers": self.address, "group.id": group})
        try:
            partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
            known = _patiently(
                lambda: consumer.committed([TopicPartition(topic, number) for number in partitions], timeout=10)
            )
        finally:
            consumer.close()
        return {found.partition: found.offset for found in known if found.offset >= 0}


def _patiently(ask: Callable[[], T]) -> T:
    """Ask again while a broker that has just come back looks for its coordinator."""
    deadline = time.monotonic() + 20
    while True:
        try:
            return ask()
        except KafkaException:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def _sound(message: Message) -> bool:
    return message.error() is None
