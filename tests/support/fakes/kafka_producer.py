"""A Kafka client that keeps what it is given; the broker behind it can be away, full or unwilling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from confluent_kafka import KafkaError, KafkaException

from shared.contracts import cloudevents
from shared.contracts.cloudevents import Event

Report = Callable[[KafkaError | None, Any], None]


class Sent(NamedTuple):
    """One record."""

    topic: str
    key: bytes | None
    value: bytes
    headers: list[tuple[str, bytes]]

    @property
    def event(self) -> Event:
        return cloudevents.from_kafka(self.key, self.value, self.headers)


class FakeProducer:
    """Stands in for `confluent_kafka.Producer`.

    Attributes:
        capacity: Most records that wait; one more raises BufferError.
        away: Records wait while it is set.
        refusal: Error code with which each record is refused while it is set.
        error: Raised by `produce` while it is set.
        acknowledged: Records that the broker has taken.
    """

    def __init__(self, capacity: int = 1_000_000) -> None:
        self.capacity = capacity
        self.away = False
        self.refusal: int | None = None
        self.error: KafkaException | None = None
        self.acknowledged: list[Sent] = []
        self.waiting: list[tuple[Sent, Report]] = []

    def produce(
        self, topic: str, value: bytes, key: bytes | None, *, headers: list[tuple[str, bytes]], on_delivery: Report
    ) -> None:
        if self.error is not None:
            raise self.error
        if len(self.waiting) >= self.capacity:
            raise BufferError("Local: Queue full")
        self.waiting.append((Sent(topic, key, value, headers), on_delivery))

    def poll(self, timeout: float) -> int:
        if self.away:
            return 0
        reports, self.waiting = self.waiting, []
        for sent, report in reports:
            if self.refusal is None:
                self.acknowledged.append(sent)
                report(None, None)
            else:
                report(KafkaError(self.refusal), None)
        return len(reports)

    def flush(self, timeout: float) -> int:
        self.poll(timeout)
        return len(self.waiting)

    def __len__(self) -> int:
        return len(self.waiting)

    def events(self, topic: str) -> list[Event]:
        """Events that the broker has taken on a topic."""
        return [sent.event for sent in self.acknowledged if sent.topic == topic]
