"""How far a group is behind, by the broker's own word and whether or not we hold the partitions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import TopicPartition

_TIMEOUT: Final = 1.0

Key = tuple[str, int]
"""Topic and partition."""


@dataclass(frozen=True, slots=True)
class LogPosition:
    """Where a group stands in a partition.

    Attributes:
        committed: Offset of the next record the group would read after a restart; None before its first commit.
        start: Lowest offset of the log.
        end: Offset that the next record will get.
    """

    committed: int | None
    start: int
    end: int

    @property
    def lag(self) -> int:
        """Records that wait for the group."""
        return max(0, self.end - max(self.committed or 0, self.start))


def read_positions(consumer: Any, topics: Sequence[str]) -> dict[Key, LogPosition]:
    """Ask the broker for the position of the consumer's group in every partition of the topics; blocking.

    Through the member itself: an AdminClient that asked for a group's offsets once gets no answer ever again after
    its broker was killed (librdkafka 2.16.1).

    Raises:
        KafkaException: The broker does not answer.
    """
    partitions = [
        TopicPartition(topic, number)
        for topic in topics
        for number in consumer.list_topics(topic, timeout=_TIMEOUT).topics[topic].partitions
    ]
    positions = {}
    for known in consumer.committed(partitions, timeout=_TIMEOUT) if partitions else ():
        start, end = consumer.get_watermark_offsets(TopicPartition(known.topic, known.partition), timeout=_TIMEOUT)
        committed = known.offset if known.offset >= 0 else None
        positions[known.topic, known.partition] = LogPosition(committed, start, end)
    return positions
