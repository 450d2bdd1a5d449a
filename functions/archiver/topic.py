"""Reading a topic from given offsets on, a bounded piece at a time."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, Message, TopicPartition

from functions.archiver.metrics import UNREAD
from shared.bus.connection import connection
from shared.hosts.outcome import ServiceAway
from shared.lake.schema import Table

_log = logging.getLogger(__name__)
GROUP: Final = "fraud-archiver"
_REQUEST_SECONDS: Final = 10.0
_POLL_SECONDS: Final = 0.1
_AT_A_TIME: Final = 1_000
_PATIENCE_SECONDS: Final = 15.0


class Record(NamedTuple):
    """One record as it stands on its topic; `time_ms` is Kafka's timestamp, UTC milliseconds."""

    partition: int
    offset: int
    time_ms: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


@dataclass(slots=True)
class Piece:
    """Consecutive records of each partition.

    Attributes:
        records: In the order of the offsets within a partition.
        next_offsets: Per partition, the offset behind what has been read; only of those that have moved.
        complete: Every partition was read to its end.
    """

    records: list[Record] = field(default_factory=list)
    next_offsets: dict[int, int] = field(default_factory=dict)
    complete: bool = False


class TopicReader:
    """Reads topics without a group's assignments: where to read is told by the lake.

    The group's committed offsets are written for people and lag monitors, and read by nobody.
    """

    def __init__(self, bootstrap_servers: str) -> None:
        self._consumer = Consumer(
            {
                **connection(bootstrap_servers),
                "group.id": GROUP,
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "error",
                "queued.max.messages.kbytes": 8 * 1024,
                "queued.min.messages": 10_000,
                "fetch.max.bytes": 8 * 1024 * 1024,
                "max.partition.fetch.bytes": 1024 * 1024,
                "fetch.wait.max.ms": 50,
                "reconnect.backoff.max.ms": 1_000,
                "log.connection.close": False,
            },
            logger=logging.getLogger("librdkafka"),
        )

    def close(self) -> None:
        """Let go of the broker."""
        self._consumer.close()

    def assign(self, table: Table, archived: Callable[[int], int | None]) -> dict[int, int]:
        """Turn to a table's topic.

        Args:
            table: The table.
            archived: Returns of a partition the offset from which on nothing is archived; None: nothing is at all.

        Returns:
            Per partition, the offset that is read next.

        Raises:
            ServiceAway: Kafka does not answer.
        """
        try:
            partitions = (
                self._consumer.list_topics(table.topic, timeout=_REQUEST_SECONDS).topics[table.topic].partitions
            )
            if not partitions:
                raise ServiceAway(f"Kafka has no topic {table.topic} yet")
            starts = {number: self._start(table, number, archived(number)) for number in partitions}
            self._consumer.assign([TopicPartition(table.topic, number, start) for number, start in starts.items()])
        except KafkaException as error:
            raise ServiceAway(f"Kafka does not answer: {error}") from error
        return starts

    def _start(self, table: Table, partition: int, archived: int | None) -> int:
        place = TopicPartition(table.topic, partition)
        low, high = self._consumer.get_watermark_offsets(place, timeout=_REQUEST_SECONDS)
        if archived is None:
            return int(low)
        if archived > high:
            # What the lake has of the old topic is not doubled: events are known by their keys.
            _log.error(
                "%s/%d ends before what is archived: it was made anew; reading all of it", table.topic, partition
            )
            return int(low)
        if archived < low:
            _log.error("%s/%d has lost %d records before they were archived", table.topic, partition, low - archived)
            UNREAD.labels(table.name).inc(low - archived)
            return int(low)
        return archived

    def read(self, table: Table, starts: Mapping[int, int], most: int, most_bytes: int, until: float) -> Piece:
        """Read on in the topic that was turned to.

        Args:
            table: The table.
            starts: Per partition, the offset that is read next.
            most: Most records; a few more may come.
            most_bytes: Most bytes of their values; as above.
            until: Monotonic time to end at, complete or not.

        Raises:
            ServiceAway: Kafka does not answer.
        """
        piece, ended, size = Piece(), set[int](), 0
        heard = time.monotonic()
        while len(piece.records) < most and size < most_bytes and time.monotonic() < until:
            found = self._consumer.consume(min(_AT_A_TIME, most - len(piece.records)), _POLL_SECONDS)
            for message in found:
                error, partition, offset = message.error(), message.partition(), message.offset()
                assert partition is not None and offset is not None  # noqa: S101, PT018 - only of what was never sent
                if error is None:
                    piece.records.append(_record(message, partition, offset))
                    piece.next_offsets[partition] = offset + 1
                    size += len(message.value() or b"")
                    ended.discard(partition)
                elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
                    ended.add(partition)
                    if offset > starts[partition]:  # markers of transactions may lie before the end
                        piece.next_offsets[partition] = offset
                elif not error.retriable() and error.code() != KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001
                    raise ServiceAway(f"Kafka does not answer: {error.str()}")
            if found:
                heard = time.monotonic()
            if ended == set(starts):
                piece.complete = True
                break
            if time.monotonic() - heard > _PATIENCE_SECONDS:
                raise ServiceAway(f"Kafka has sent nothing of {table.topic} for {_PATIENCE_SECONDS:.0f} s")
        return piece

    def hint(self, table: Table, offsets: Mapping[int, int]) -> None:
        """Show offsets as the group's; that it fails is of no consequence."""
        places = [TopicPartition(table.topic, number, offset) for number, offset in offsets.items()]
        try:
            self._consumer.commit(offsets=places, asynchronous=True)
        except KafkaException as error:
            _log.info("the group's offsets were not brought up to date: %s", error)

    def lag(self, table: Table, offsets: Mapping[int, int]) -> int:
        """Records of a topic behind offsets.

        Raises:
            ServiceAway: Kafka does not answer.
        """
        try:
            ends = {
                number: self._consumer.get_watermark_offsets(
                    TopicPartition(table.topic, number, OFFSET_END), timeout=_REQUEST_SECONDS
                )[1]
                for number in offsets
            }
        except KafkaException as error:
            raise ServiceAway(f"Kafka does not answer: {error}") from error
        return sum(max(0, ends[number] - offset) for number, offset in offsets.items())


def _record(message: Message, partition: int, offset: int) -> Record:
    headers = message.headers() or []
    pairs = headers.items() if isinstance(headers, dict) else headers
    written = [(name, value.encode() if isinstance(value, str) else value) for name, value in pairs]
    return Record(
        partition,
        offset,
        message.timestamp()[1],
        message.key(),
        message.value(),
        [(name, value) for name, value in written if value is not None],
    )
