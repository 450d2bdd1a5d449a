"""From the topics into the tables."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Protocol

from confluent_kafka import KafkaException

from functions.archiver import metrics
from functions.archiver.rows import FeatureTypes, Place, Row, to_row
from functions.archiver.settings import ArchiverSettings
from functions.archiver.sink import Overtaken, Sink
from functions.archiver.topic import Record, TopicReader
from shared.contracts import cloudevents
from shared.contracts.cloudevents import PoisonEvent
from shared.contracts.event_time import now_milliseconds
from shared.hosts.outcome import ServiceAway
from shared.lake.lake import Lake
from shared.lake.schema import TABLES, Table

_log = logging.getLogger(__name__)
_MOST_CONFLICTS: Final = 20
_LONGEST_PAUSE: Final = 0.5


class DeadLetters(Protocol):
    """Where records go that are no events."""

    async def put(
        self, key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]], reason: str, origin: str
    ) -> None:
        """Put one record aside; returns once it is safe there."""


@dataclass(slots=True)
class Drained:
    """What a run did for one table.

    Attributes:
        rows: Rows written.
        duplicates: Records whose event the table had already.
        poison: Records put aside.
        conflicts: Commits that another writer was faster than.
        lag: Records left on the topic for the next run; 0 when its end was seen.
    """

    rows: int = 0
    duplicates: int = 0
    poison: int = 0
    conflicts: int = 0
    lag: int = 0


class Archive:
    """Drains all topics, one after the other.

    Args:
        lake: Where the tables are.
        reader: Reads the topics.
        dead_letters: Takes records that are no events.
        settings: Bounds of a run and of a commit.
    """

    def __init__(self, lake: Lake, reader: TopicReader, dead_letters: DeadLetters, settings: ArchiverSettings) -> None:
        self._lake = lake
        self._reader = reader
        self._dead_letters = dead_letters
        self._settings = settings

    def drain(self) -> dict[str, dict[str, Any]]:
        """Archive what is on the topics, for as long as a run may take; returns what was done, by table.

        No table can use up the time of the others: each has its share of what is left.

        Raises:
            ServiceAway: Kafka does not answer.
            LakeAway: The lake does not.
        """
        end = time.monotonic() + self._settings.fraud_archive_seconds
        done = {}
        for number, table in enumerate(TABLES.values()):
            now = time.monotonic()
            share = max(1.0, (end - now) / (len(TABLES) - number))
            done[str(table.name)] = asdict(self._drain(table, now + share))
        metrics.LAST.set_to_current_time()
        return done

    def _drain(self, table: Table, until: float) -> Drained:
        drained, position = Drained(), dict[int, int]()
        complete = False
        while not complete and time.monotonic() < until:
            sink = Sink(self._lake, table)
            position = self._reader.assign(table, sink.offset)
            try:
                gone = {number: start for number, start in position.items() if start > (sink.offset(number) or 0)}
                if gone:
                    sink.skip(gone, now_milliseconds())
                complete = self._archive(table, sink, position, until, drained)
            except Overtaken as overtaken:
                drained.conflicts += 1
                metrics.CONFLICTS.labels(table.name).inc()
                _log.info("starting %s over: %s", table.name, overtaken)
                if drained.conflicts >= _MOST_CONFLICTS:
                    break  # another archiver is at it
                time.sleep(random.uniform(0, _LONGEST_PAUSE))  # noqa: S311 - no secret
        if not complete:
            drained.lag = self._reader.lag(table, position)
        metrics.LAG.labels(table.name).set(drained.lag)
        return drained

    def _archive(self, table: Table, sink: Sink, position: dict[int, int], until: float, drained: Drained) -> bool:
        """Read and append piece by piece; returns whether the topic's end was reached before the time was over."""
        settings = self._settings
        while time.monotonic() < until:
            piece = self._reader.read(table, position, settings.fraud_archive_rows, settings.fraud_archive_bytes, until)
            if piece.next_offsets:
                before = {number: sink.offset(number) for number in piece.next_offsets}
                rows, poison = self._rows(table, piece.records, sink.features)
                appended = sink.append(rows, before, piece.next_offsets)
                position |= piece.next_offsets
                self._reader.hint(table, piece.next_offsets)
                self._count(table, drained, appended.rows, appended.duplicates, poison)
            if piece.complete:
                return True
        return False

    def _count(self, table: Table, drained: Drained, rows: int, duplicates: int, poison: int) -> None:
        drained.rows += rows
        drained.duplicates += duplicates
        drained.poison += poison
        metrics.ROWS.labels(table.name).inc(rows)
        metrics.DUPLICATES.labels(table.name).inc(duplicates)
        metrics.POISON.labels(table.name).inc(poison)

    def _rows(self, table: Table, records: Sequence[Record], features: FeatureTypes) -> tuple[list[Row], int]:
        rows: list[Row] = []
        poison: list[tuple[Record, str]] = []
        for record in records:
            place = Place(record.partition, record.offset, record.time_ms)
            try:
                event = cloudevents.from_kafka(record.key, record.value, record.headers)
                rows.append(to_row(table.name, event, place, features))
            except PoisonEvent as error:
                poison.append((record, str(error)))
        if poison:
            self._put_aside(table, poison)
        return rows, len(poison)

    def _put_aside(self, table: Table, poison: Sequence[tuple[Record, str]]) -> None:
        """Put records aside before the commit that passes them: after a kill in between they are there twice."""
        _log.error("%d records of %s are no events; the first: %s", len(poison), table.topic, poison[0][1])

        async def put_all() -> None:
            await asyncio.gather(
                *(
                    self._dead_letters.put(
                        record.key,
                        record.value,
                        record.headers,
                        reason,
                        f"{table.topic}/{record.partition}/{record.offset}",
                    )
                    for record, reason in poison
                )
            )

        try:
            asyncio.run(put_all())
        except (BufferError, KafkaException) as error:
            raise ServiceAway("Kafka does not take dead letters") from error
