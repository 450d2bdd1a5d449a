"""A Kafka record as it was read."""

from dataclasses import dataclass
from typing import Any

Headers = list[tuple[str, bytes | None]]


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a topic; key, value and header values are raw bytes.

    Attributes:
        timestamp_ms: UTC milliseconds, None when the broker has none.
    """

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_ms: int | None = None

    @classmethod
    def from_message(cls, message: Any) -> "Record":
        """Copy a `confluent_kafka.Message` without error."""
        kind, timestamp = message.timestamp()
        return cls(
            topic=message.topic(),
            partition=message.partition(),
            offset=message.offset(),
            key=message.key(),
            value=message.value(),
            headers=message.headers() or [],
            timestamp_ms=timestamp if kind else None,
        )

    @property
    def size(self) -> int:
        """Bytes that keeping it takes, roughly."""
        content = len(self.key or b"") + len(self.value or b"")
        return 512 + content + sum(len(name) + len(value or b"") for name, value in self.headers)
