"""Many small files of a day into few.

Not by the Delta library's own `optimize.compact`: in deltalake 1.6.6 its commit is checked against nothing, so two of
them at once leave every row twice. Here the commit succeeds only on the version that was read, as an append does.
"""

from __future__ import annotations

import json
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable
from deltalake.transaction import AddAction, RemoveAction
from pyarrow import fs
from pyarrow import parquet as pq

from shared.lake.schema import DAY, EVENT_TIME, STATISTICS

FILE_BYTES: Final = 128 * 1024 * 1024
"""A file is ended at this size."""
SMALL_BYTES: Final = 32 * 1024 * 1024
"""A file of this size or more is left alone, so that no row is rewritten for ever."""
ROW_GROUP: Final = 65_536


@dataclass(frozen=True, slots=True)
class SmallFile:
    """A file to be made one with others.

    Attributes:
        path: Relative to the table's root.
        size: Bytes.
    """

    path: str
    size: int


def due_days(table: DeltaTable, most_files: int) -> dict[date, list[SmallFile]]:
    """Days with that many small files or more, with these in the order of event time."""
    actions = table.get_add_actions(flatten=True)
    if actions.num_rows == 0:
        return {}
    days: dict[date, list[tuple[int, str, int]]] = defaultdict(list)
    names = (f"partition.{DAY}", f"min.{EVENT_TIME}", "path", "size_bytes")
    for day, least, path, size in zip(*(actions[name].to_pylist() for name in names), strict=True):
        if size < SMALL_BYTES:
            days[day].append((least or 0, path, size))
    return {
        day: [SmallFile(path, size) for _, path, size in sorted(files)]
        for day, files in sorted(days.items())
        if len(files) >= most_files
    }


def compact(table: DeltaTable, filesystem: fs.FileSystem, root: str, day: date, files: Sequence[SmallFile]) -> None:
    """Write the rows of a day's small files anew and let them take the place of these files.

    Memory is bounded by a row group, whatever the size of the day.

    Args:
        table: The table at the version whose files are given.
        filesystem: Of the table's files.
        root: The table's address on it.
        day: The day.
        files: Of that day.

    Raises:
        CommitFailedError: Somebody has written to the table since; nothing has changed.
        OSError: The storage does not answer.
    """
    schema = pa.schema(table.schema().to_arrow())
    stored = pa.schema([one for one in schema if one.name != DAY])
    partition: dict[str, str | None] = {DAY: day.isoformat()}
    now = time.time_ns() // 1_000_000
    actions: list[AddAction | RemoveAction] = []
    batches = _batches(filesystem, [f"{root}/{file.path}" for file in files], stored)
    batch = next(batches, None)
    while batch is not None:
        path = f"{DAY}={day.isoformat()}/compacted-{uuid.uuid4()}.zstd.parquet"
        statistics = _Statistics()
        with filesystem.open_output_stream(f"{root}/{path}") as sink:
            with pq.ParquetWriter(sink, stored, compression="zstd") as writer:
                while batch is not None and sink.tell() < FILE_BYTES:
                    writer.write_table(batch, row_group_size=ROW_GROUP)
                    statistics.add(batch)
                    batch = next(batches, None)
            size = sink.tell()
        actions.append(AddAction(path, size, partition, now, data_change=False, stats=statistics.json()))
    actions += [
        RemoveAction(file.path, data_change=False, deletion_timestamp=now, partition_values=partition, size=file.size)
        for file in files
    ]
    table.create_write_transaction(
        actions,
        mode="append",
        schema=table.schema(),
        partition_by=[DAY],
        commit_properties=CommitProperties(max_commit_retries=0),
    )


class _Statistics:
    """What Delta's log says of a file."""

    def __init__(self) -> None:
        self._rows = 0
        self._least: dict[str, int] = {}
        self._most: dict[str, int] = {}

    def add(self, rows: pa.Table) -> None:
        self._rows += rows.num_rows
        for name in STATISTICS:
            found: dict[str, Any] = pc.min_max(rows[name]).as_py()
            self._least[name] = min(found["min"], self._least.get(name, found["min"]))
            self._most[name] = max(found["max"], self._most.get(name, found["max"]))

    def json(self) -> str:
        nulls = dict.fromkeys(self._least, 0)
        return json.dumps(
            {"numRecords": self._rows, "minValues": self._least, "maxValues": self._most, "nullCount": nulls}
        )


def _batches(filesystem: fs.FileSystem, paths: Sequence[str], schema: pa.Schema) -> Iterator[pa.Table]:
    """Rows of the files in pieces of about a row group; columns that a file is older than are null."""
    waiting: list[pa.Table] = []
    for path in paths:
        with filesystem.open_input_file(path) as opened:
            file = pq.ParquetFile(opened)
            for number in range(file.num_row_groups):
                waiting.append(_in_schema(file.read_row_group(number), schema))
                if sum(one.num_rows for one in waiting) >= ROW_GROUP:
                    yield pa.concat_tables(waiting)
                    waiting = []
    if waiting:
        yield pa.concat_tables(waiting)


def _in_schema(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    present = set(rows.schema.names)
    columns = [
        rows[one.name].cast(one.type) if one.name in present else pa.nulls(rows.num_rows, one.type) for one in schema
    ]
    return pa.table(columns, schema=schema)
