"""The running system as a fault test needs it: addresses, processes to kill, events in topics."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import psutil
import urllib3
from confluent_kafka import Consumer, TopicPartition

from shared.backing.pidfile import PidFile
from shared.cli.stack_state import StackState, running_stack

SILENT = logging.getLogger(f"{__name__}.client")
"""Of Kafka clients that are to outlive their broker: what they log of it is no news."""
SILENT.setLevel(logging.CRITICAL)
FUNCTIONS = ("scorer", "feature-updater", "shadow-scorer")
BACKING = ("kafka", "redis", "mlflow")


@dataclass(frozen=True)
class System:
    """A running system."""

    state: StackState
    http: urllib3.PoolManager
    headers: Mapping[str, str] = field(default_factory=dict)  # that every request to the scorer needs

    @classmethod
    def find(cls, home: Path | None = None) -> System:
        """Raises StackNotRunning when there is none."""
        return cls(running_stack(home), urllib3.PoolManager(timeout=5.0, retries=False))

    def status(self) -> dict[str, Any]:
        """The emulator's status: services, delivery, programs."""
        document: dict[str, Any] = orjson.loads(self.http.request("GET", f"{self.state.admin_url}/status").data)
        return document

    def metric(self, service: str, name: str) -> float:
        """The sum of a counter over all replicas, ended ones included, and all labels."""
        text = self.http.request("GET", f"{self.state.admin_url}/services/{service}/metrics").data.decode()
        lines = [line for line in text.splitlines() if line.startswith((f"{name} ", f"{name}{{"))]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)

    def pids(self, target: str) -> list[int]:
        """Processes of a function's ready replicas, of the delivery, or of a backing service."""
        if target in BACKING:
            record = PidFile.read(self.state.home / "run" / f"{target}.pid")
            return [record.pid] if record is not None and record.process() is not None else []
        status = self.status()
        if target == "delivery":
            return [replica["pid"] for replica in status["delivery"]["replicas"]]
        return [replica["pid"] for replica in status["services"][target]["replicas"] if replica["ready"]]

    def kill(self, target: str, choose: Callable[[list[int]], int]) -> int:
        """kill -9 one process of the target; returns its pid."""
        pid = choose(wait_for(lambda: self.pids(target), 30, f"a process of {target}"))
        os.kill(pid, signal.SIGKILL)
        return pid

    def wait_recovered(self, target: str, killed: int, seconds: float = 60) -> float:
        """Wait until another process does the killed one's work; returns the seconds it took."""
        started = time.monotonic()

        def replaced() -> bool:
            return any(pid != killed and psutil.pid_exists(pid) for pid in self.pids(target))

        wait_for(replaced, seconds, f"{target} to be started again")
        return time.monotonic() - started

    def wait_delivered(self, seconds: float) -> None:
        """Wait until the Kafka sources have dealt with every record that stands in their topics now."""
        sources = self.status()["delivery"]["kafka_sources"]
        wanted = {topic: self.end_offsets(topic) for source in sources.values() for topic in source["topics"]}

        def done() -> bool:
            for source in self.status()["delivery"]["kafka_sources"].values():
                for topic in source["topics"]:
                    for partition, end in wanted[topic].items():
                        state = source["partitions"].get(f"{topic}-{partition}")
                        if end and (state is None or (state["committed"] or 0) < end):
                            return False
            return True

        wait_for(done, seconds, "the Kafka sources to catch up")

    def end_offsets(self, topic: str) -> dict[int, int]:
        """The end of each partition of a topic."""
        consumer = self._consumer()
        try:
            partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
            return {p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=10)[1] for p in partitions}
        finally:
            consumer.close()

    def committed(self, group: str, topic: str) -> dict[int, int]:
        """The offsets that a consumer group has committed."""
        consumer = self._consumer(group)
        try:
            partitions = [
                TopicPartition(topic, p) for p in consumer.list_topics(topic, timeout=10).topics[topic].partitions
            ]
            return {one.partition: max(0, one.offset) for one in consumer.committed(partitions, timeout=10)}
        finally:
            consumer.close()

    def records(self, topic: str, since: dict[int, int]) -> Iterator[Any]:
        """The records of a topic from the given offsets to its present end."""
        ends = self.end_offsets(topic)
        consumer = self._consumer()
        consumer.assign([TopicPartition(topic, p, since[p]) for p in ends if since[p] < ends[p]])
        remaining = {p for p in ends if since[p] < ends[p]}
        try:
            while remaining:
                for message in consumer.consume(1000, timeout=10):
                    if message.error() is not None:
                        raise RuntimeError(message.error().str())
                    yield message
                    if message.offset() + 1 >= ends[message.partition()]:
                        remaining.discard(message.partition())
        finally:
            consumer.close()

    def _consumer(self, group: str | None = None) -> Consumer:
        return Consumer(
            {
                "bootstrap.servers": self.state.kafka,
                "group.id": group or f"verify-{os.getpid()}",
                "enable.auto.commit": False,
                "fetch.message.max.bytes": 2_000_000,
            }
        )


def wait_for(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """Wait until a condition holds and return what it gave.

    Raises:
        TimeoutError: It did not in time.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            result = condition()
        except (urllib3.exceptions.HTTPError, OSError, KeyError):
            result = None
        if result:
            return result
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:.0f} s for {what}")
        time.sleep(0.1)
