"""Appending to a table of the lake, each event once.

A commit of a Delta table carries, beside the rows, how far each partition of the topic is archived (Delta's application
transactions), so rows and offsets become visible together or not at all. A commit succeeds only on the very version
that it was prepared on: of two archivers one is refused, and starts over from what the other has written.

Events that a producer has published twice stand on the topic twice. Two copies have the same event time, so keys are
looked up in those row groups alone that may hold one of the new rows' event times by their statistics: for events that
come in the order of time these are the last few files of a day.
"""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable, Transaction, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError
from pyarrow import fs
from pyarrow import parquet as pq

from functions.archiver.compaction import ROW_GROUP
from functions.archiver.rows import FeatureTypes, Row, known_features
from shared.lake.errors import LakeAway, TableMissing
from shared.lake.lake import Lake
from shared.lake.schema import ARRIVAL, DAY, EVENT_TIME, FEATURE_PREFIX, KEY, STATISTICS, Table

_log = logging.getLogger(__name__)
WRITER: Final = WriterProperties(compression="ZSTD", max_row_group_size=ROW_GROUP)
_CHECKPOINT_EVERY: Final = 50


class Overtaken(Exception):
    """Another writer has committed in between."""


@dataclass(frozen=True, slots=True)
class Appended:
    """What came of an append."""

    rows: int
    duplicates: int


class Sink:
    """One table at one version, and at the next after a commit; after a conflict or an error it is opened anew.

    Raises:
        LakeAway: The storage does not answer; so do all methods.
    """

    def __init__(self, lake: Lake, table: Table) -> None:
        self._table = table
        self._lake = lake
        try:
            self._delta = lake.table(table.name)
        except TableMissing:
            self._delta = _create(lake, table)
        self._schema = pa.schema(self._delta.schema().to_arrow())

    @property
    def features(self) -> FeatureTypes:
        """Types of the feature columns."""
        return known_features(self._schema)

    def offset(self, partition: int) -> int | None:
        """The offset from which on nothing of a partition is archived; None: nothing is at all."""
        version: int | None = self._delta.transaction_version(self._table.offset_id(partition))
        return version

    def append(self, rows: Sequence[Row], before: Mapping[int, int | None], after: Mapping[int, int]) -> Appended:
        """Write those rows that the table has not got yet, and with them how far the topic is archived.

        Args:
            rows: In the order they are to be tried in: of several copies of an event the first stays.
            before: Per partition, what `offset` said when the rows were read.
            after: Per partition, the offset behind the rows.

        Raises:
            Overtaken: Another writer has committed since then; nothing is written.
        """
        if any(self.offset(number) != before[number] for number in after):
            raise Overtaken(f"{self._table.name} has been archived further by another writer")
        offsets = [Transaction(self._table.offset_id(number), offset) for number, offset in after.items()]
        distinct = {row[KEY]: row for row in reversed(rows)}  # the first of several stays
        for key in self._present(distinct):
            del distinct[key]
        new = sorted(distinct.values(), key=lambda row: (row[EVENT_TIME], row[ARRIVAL], row[KEY]))
        self._commit(new, offsets)
        return Appended(len(new), len(rows) - len(new))

    def skip(self, after: Mapping[int, int], now_ms: int) -> None:
        """Go on behind records that are gone, and let the table say that it lacks some from before now.

        Raises:
            Overtaken: Another writer has committed since the table was opened.
        """
        offsets = [Transaction(self._table.offset_id(number), offset) for number, offset in after.items()]
        self._commit([], [*offsets, Transaction(self._table.hole_id, now_ms)])

    def _commit(self, rows: Sequence[Row], transactions: list[Transaction]) -> None:
        commit = CommitProperties(max_commit_retries=0, app_transactions=transactions)
        try:
            if rows:
                data = pa.Table.from_pylist(rows, schema=self._row_schema(rows))
                write_deltalake(
                    self._delta,
                    data,
                    mode="append",
                    schema_mode="merge",
                    commit_properties=commit,
                    writer_properties=WRITER,
                )
            else:
                self._delta.create_write_transaction(
                    [], mode="append", schema=self._delta.schema(), partition_by=[DAY], commit_properties=commit
                )
            self._delta.update_incremental()
        except CommitFailedError as error:
            raise Overtaken(str(error)) from error
        except (DeltaError, OSError) as error:
            raise LakeAway(f"the lake does not take rows of {self._table.name}: {error}") from error
        self._schema = pa.schema(self._delta.schema().to_arrow())

    def _row_schema(self, rows: Sequence[Row]) -> pa.Schema:
        """The table's own columns and those features that the rows have."""
        names = {name for row in rows for name in row if name.startswith(FEATURE_PREFIX)}
        known = self.features
        return pa.schema(
            [*self._table.schema, *(pa.field(name, known.get(name, pa.float64())) for name in sorted(names))]
        )

    def _present(self, rows: Mapping[bytes, Row]) -> set[bytes]:
        """Those keys of new rows that the table has already."""
        times: dict[date, list[int]] = defaultdict(list)
        for row in rows.values():
            times[row[DAY]].append(row[EVENT_TIME])
        for moments in times.values():
            moments.sort()
        keys = pa.array(rows, pa.binary())
        present: set[bytes] = set()
        filesystem = self._lake.filesystem
        try:
            for path, moments in self._candidates(times):
                for found in _keys(filesystem, f"{self._root}/{path}", moments):
                    present.update(found.filter(pc.is_in(found, value_set=keys)).to_pylist())
        except (OSError, DeltaError) as error:
            raise LakeAway(f"the lake does not answer: {error}") from error
        return present

    @property
    def _root(self) -> str:
        return self._lake.uri(self._table.name).removeprefix("s3://")

    def _candidates(self, times: Mapping[date, list[int]]) -> Iterator[tuple[str, list[int]]]:
        """Files that may hold a row of one of the times, with the times of their day."""
        actions = self._delta.get_add_actions(flatten=True)
        names = ("path", f"partition.{DAY}", f"min.{EVENT_TIME}", f"max.{EVENT_TIME}")
        if actions.num_rows == 0:
            return
        for path, day, least, most in zip(*(actions[name].to_pylist() for name in names), strict=True):
            if day in times and _any_within(times[day], least, most):
                yield path, times[day]


def _create(lake: Lake, table: Table) -> DeltaTable:
    days = f"interval {lake.settings.fraud_lake_retention_days} days"
    try:
        DeltaTable.create(
            lake.uri(table.name),
            table.schema,
            mode="ignore",
            partition_by=[DAY],
            configuration={
                "delta.dataSkippingStatsColumns": ",".join(STATISTICS),
                "delta.checkpointInterval": str(_CHECKPOINT_EVERY),
                # Reading at an old version needs its log and its files.
                "delta.logRetentionDuration": days,
                "delta.deletedFileRetentionDuration": days,
            },
            storage_options=lake.settings.storage_options(),
        )
    except (DeltaError, OSError) as error:
        # Another archiver may have made it at this moment.
        _log.info("the table %s was not made: %s", table.name, error)
    try:
        return lake.table(table.name)
    except TableMissing as missing:
        raise LakeAway(f"the table {table.name} cannot be made") from missing


def _keys(filesystem: fs.FileSystem, path: str, moments: Sequence[int]) -> Iterator[pa.Array]:
    """Keys in those row groups of a file that may hold a row of one of the times."""
    with filesystem.open_input_file(path) as opened:
        file = pq.ParquetFile(opened)
        column = file.schema.names.index(EVENT_TIME)  # of leaves: fields of a struct count one by one
        for number in range(file.num_row_groups):
            statistics: Any = file.metadata.row_group(number).column(column).statistics
            known = statistics is not None and statistics.has_min_max
            if not known or _any_within(moments, statistics.min, statistics.max):
                yield file.read_row_group(number, columns=[KEY]).column(KEY).combine_chunks()


def _any_within(moments: Sequence[int], least: int | None, most: int | None) -> bool:
    """Whether one of the times, which are sorted, lies between two; without statistics it may."""
    if least is None or most is None:
        return True
    place = bisect_left(moments, least)
    return place < len(moments) and moments[place] <= most
