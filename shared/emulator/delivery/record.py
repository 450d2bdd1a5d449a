"""A Kafka record as it was read."""

from dataclasses import dataclass
from typing import Any, Final

_OBJECTS: Final = 512  # what Python needs around the bytes

Headers = list[tuple[str, bytes | None]]


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a topic; key, value and header values are raw bytes.

    Attributes:
        timestamp_ms: UTC milliseconds, None when the broker has none.
        size: Bytes that keeping it takes, roughly.
    """

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_ms: int | None = None
    size: int = 0

    @classmethod
    def from_message(cls, message: Any) -> "Record":
        """Copy a `confluent_kafka.Message` without error."""
        kind, timestamp = message.timestamp()
        headers = message.headers() or []
        key, value = message.key(), message.value()
        size = _OBJECTS + len(key or b"") + len(value or b"")
        for name, content in headers:
            size += len(name) + len(content or b"")
        return cls(
            topic=message.topic(),
            partition=message.partition(),
            offset=message.offset(),
            key=key,
            value=value,
            headers=headers,
            timestamp_ms=timestamp if kind else None,
            size=size,
        )
