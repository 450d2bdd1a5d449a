"""Reads the dead-letter topic, and sends dead letters to where they came from."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from shared.emulator.delivery.dead_letters import DeadLetter, without_error
from shared.emulator.delivery.record import Record

GROUP: Final = "fraud-dead-letters-redrive"
"""Consumer group whose offsets say which dead letters were redriven."""

_TIMEOUT: Final = 10.0
_BATCH: Final = 200


class DeadLettersUnavailable(Exception):
    """The broker or the topic cannot be reached, or did not take everything; the message says which and why."""


@dataclass(slots=True)
class Redriven:
    """What came of a redrive.

    Attributes:
        found: Dead letters that no earlier redrive had handled.
        sent: Of those, sent to their topic again and acknowledged.
        skipped: Of those, left alone, by reason.
    """

    found: int = 0
    sent: int = 0
    skipped: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Range:
    """Offsets of one partition that are to be read: [at, end)."""

    number: int
    at: int
    end: int


class DeadLetterReader:
    """Reads the dead letters of a topic that are there now.

    Args:
        bootstrap_servers: The broker.
        topic: The dead-letter topic.
    """

    def __init__(self, bootstrap_servers: str, topic: str) -> None:
        self._servers = bootstrap_servers
        self._topic = topic

    def latest(self, limit: int) -> list[DeadLetter]:
        """Return the latest dead letters, newest first, at most `limit`.

        Raises:
            DeadLettersUnavailable: The broker does not answer, or has no such topic.
        """
        with self._consumer() as consumer:
            ranges = [_Range(r.number, max(r.at, r.end - limit), r.end) for r in self._ranges(consumer)]
            records = sorted(_read(consumer, self._topic, ranges), key=lambda r: r.timestamp_ms or 0, reverse=True)
        return [DeadLetter.from_record(record) for record in records[:limit]]

    def pending(self) -> int:
        """Return how many dead letters were not redriven yet.

        Raises:
            DeadLettersUnavailable: The broker does not answer, or has no such topic.
        """
        with self._consumer() as consumer:
            return sum(r.end - r.at for r in self._ranges(consumer, committed=True))

    def redrive(self, limit: int | None = None, progress: Callable[[int], None] = lambda _: None) -> Redriven:
        """Send dead letters that were not redriven yet to their original topic and partition.

        Key, value and headers are the original's. What arrives while this runs is left for the next time, so a record
        that fails again does not go round in circles. An offset is committed only once the record is acknowledged;
        a redrive that is broken off is continued by the next, which may repeat the records of its last batch.

        Args:
            limit: Most dead letters to handle.
            progress: Told the number handled after each batch.

        Raises:
            DeadLettersUnavailable: The broker does not answer, or has no such topic, or refused a record.
        """
        result = Redriven()
        with self._consumer() as consumer:
            ranges = self._ranges(consumer, committed=True)
            producer = Producer({"bootstrap.servers": self._servers, "acks": "all", "enable.idempotence": True,
                                 "message.max.bytes": 16 * 1024 * 1024, "compression.type": "lz4"})  # fmt: skip
            batch: list[Record] = []
            for record in _read(consumer, self._topic, ranges):
                batch.append(record)
                result.found += 1
                if len(batch) == _BATCH or result.found == limit:
                    self._send(consumer, producer, batch, result)
                    progress(result.found)
                    batch.clear()
                if result.found == limit:
                    break
            if batch:
                self._send(consumer, producer, batch, result)
                progress(result.found)
        return result

    def _send(self, consumer: Any, producer: Any, batch: list[Record], result: Redriven) -> None:
        """Send a batch, wait until it is acknowledged, and only then commit it."""
        failures: list[str] = []

        def acknowledged(error: Any, _message: Any) -> None:
            if error is None:
                result.sent += 1
            else:
                failures.append(error.str())

        partitions: dict[str, set[int]] = {}
        for record in batch:
            letter = DeadLetter.from_record(record)
            reason = _obstacle(letter, partitions, producer)
            if reason is not None:
                result.skipped[reason] = result.skipped.get(reason, 0) + 1
                continue
            number = letter.original_partition
            known = number is not None and number in partitions[str(letter.original_topic)]
            try:
                producer.produce(
                    letter.original_topic,
                    value=record.value,
                    key=record.key,
                    headers=without_error(record.headers),
                    partition=number if known else -1,
                    on_delivery=acknowledged,
                )
            except (BufferError, KafkaException) as error:
                failures.append(str(error))
            producer.poll(0)
        if producer.flush(_TIMEOUT * 3):
            failures.append("not acknowledged in time")
        if failures:
            raise DeadLettersUnavailable(f"the broker did not take every record: {failures[0]}")
        next_offsets = {record.partition: record.offset + 1 for record in batch}
        offsets = [TopicPartition(self._topic, number, offset) for number, offset in next_offsets.items()]
        consumer.commit(offsets=offsets, asynchronous=False)

    def _consumer(self) -> "_Closing":
        return _Closing(Consumer({"bootstrap.servers": self._servers, "group.id": GROUP, "enable.auto.commit": False,
                                  "auto.offset.reset": "earliest", "enable.partition.eof": False}))  # fmt: skip

    def _ranges(self, consumer: Any, *, committed: bool = False) -> list[_Range]:
        try:
            topic = consumer.list_topics(self._topic, timeout=_TIMEOUT).topics[self._topic]
            if topic.error is not None or not topic.partitions:
                raise DeadLettersUnavailable(f"there is no topic {self._topic}")
            partitions = [TopicPartition(self._topic, number) for number in topic.partitions]
            known = {}
            if committed:
                known = {found.partition: found.offset for found in consumer.committed(partitions, timeout=_TIMEOUT)}
            ranges = []
            for partition in partitions:
                low, high = consumer.get_watermark_offsets(partition, timeout=_TIMEOUT)
                ranges.append(_Range(partition.partition, max(low, known.get(partition.partition, -1)), high))
        except KafkaException as error:
            raise DeadLettersUnavailable(f"Kafka at {self._servers} does not answer: {error.args[0].str()}") from error
        return ranges


class _Closing:
    """A consumer that is closed at the end of a with block; broker trouble inside becomes one kind of error."""

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer

    def __enter__(self) -> Any:
        return self._consumer

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._consumer.close()
        if isinstance(error, KafkaException):
            raise DeadLettersUnavailable(str(error)) from error


def _obstacle(letter: DeadLetter, partitions: dict[str, set[int]], producer: Any) -> str | None:
    """Why a dead letter cannot be redriven; looks its topic up in `partitions`, or at the broker the first time."""
    if letter.original_topic is None:
        return "it does not say which topic it came from"
    if letter.value_omitted:
        return "its value was too large to be kept; it stands in the original topic"
    if letter.original_topic not in partitions:
        found = producer.list_topics(letter.original_topic, timeout=_TIMEOUT).topics[letter.original_topic]
        partitions[letter.original_topic] = set() if found.error is not None else set(found.partitions)
    return None if partitions[letter.original_topic] else "its topic does not exist"


def _read(consumer: Any, topic: str, ranges: list[_Range]) -> Iterator[Record]:
    """Yield the records of the ranges; offsets that were compacted away are passed over."""
    open_ranges = {r.number: r for r in ranges if r.at < r.end}
    if not open_ranges:
        return
    consumer.assign([TopicPartition(topic, r.number, r.at) for r in open_ranges.values()])
    silence = time.monotonic() + _TIMEOUT
    while open_ranges:
        message = consumer.poll(0.2)
        if message is None:
            positions = {p.partition: p.offset for p in consumer.position(consumer.assignment())}
            open_ranges = {n: r for n, r in open_ranges.items() if positions.get(n, -1) < r.end}
            if open_ranges and time.monotonic() > silence:
                raise DeadLettersUnavailable(f"{topic} could not be read to its end")
            continue
        if message.error() is not None:
            raise KafkaException(message.error())
        silence = time.monotonic() + _TIMEOUT
        record = Record.from_message(message)
        wanted = open_ranges.get(record.partition)
        if wanted is None or record.offset >= wanted.end:
            continue
        if record.offset == wanted.end - 1:
            del open_ranges[record.partition]
        yield record
