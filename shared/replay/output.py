"""The decisions of a replay as a file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

Row = dict[str, Any]
FORMATS = (".parquet", ".jsonl")
_BATCH_ROWS = 16_384
_TYPES = {str: pa.string(), bool: pa.bool_(), int: pa.int64(), float: pa.float64()}


def write_decisions(rows: Callable[[], Iterable[Row]], target: Path) -> int:
    """Write one row per decision, whole or not at all, and return their number.

    Args:
        rows: Gives the rows; called once to learn the columns' types and once to write.
        target: File whose name ends in one of `FORMATS`.
    """
    partial = target.with_name(target.name + ".writing")
    written = _write_lines(rows(), partial) if target.suffix == ".jsonl" else _write_parquet(rows, partial)
    partial.replace(target)
    return written


def _write_lines(rows: Iterable[Row], target: Path) -> int:
    written = 0
    with target.open("wb") as file:
        for row in rows:
            file.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
            written += 1
    return written


def _write_parquet(rows: Callable[[], Iterable[Row]], target: Path) -> int:
    schema = _schema(rows())
    written = 0
    with pq.ParquetWriter(target, schema, compression="zstd") as writer:
        remaining: Iterator[Row] = iter(rows())
        while batch := list(islice(remaining, _BATCH_ROWS)):
            writer.write_batch(pa.RecordBatch.from_pylist(batch, schema=schema))
            written += len(batch)
    return written


def _schema(rows: Iterable[Row]) -> pa.Schema:
    """Find the columns and their types: whole numbers stay whole, a column without any value is a number's."""
    kinds: dict[str, set[type]] = {}
    for row in rows:
        for name, value in row.items():
            kinds.setdefault(name, set()).add(type(value))
    return pa.schema([pa.field(name, _type(found - {type(None)})) for name, found in kinds.items()])


def _type(kinds: set[type]) -> pa.DataType:
    return _TYPES[kinds.pop()] if len(kinds) == 1 else pa.float64()
