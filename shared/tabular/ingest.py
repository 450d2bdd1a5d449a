"""A file of transactions as a checked table in event-time order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from shared.contracts.event_time import to_milliseconds, to_rfc3339
from shared.contracts.money import to_major_units
from shared.contracts.transaction import Transaction
from shared.tabular.options import ReadingOptions
from shared.tabular.rejected import RejectedRows, rejected_path
from shared.tabular.rows import Checked, RowChecker
from shared.tabular.sources import RawBatch, open_source

_SPOOL_ROWS = 16_384
_MEMORY_LIMIT = "1GB"
_OPTIONAL_TEXTS = ("merchant_category", "city", "country", "channel")

SCHEMA = pa.schema(
    [
        pa.field("file_row", pa.int64(), nullable=False),
        pa.field("transaction_id", pa.string(), nullable=False),
        pa.field("card_id", pa.string(), nullable=False),
        pa.field("amount_minor", pa.int64(), nullable=False),
        pa.field("currency", pa.string(), nullable=False),
        pa.field("merchant_id", pa.string(), nullable=False),
        *(pa.field(name, pa.string()) for name in _OPTIONAL_TEXTS),
        pa.field("latitude", pa.float64()),
        pa.field("longitude", pa.float64()),
        pa.field("event_time_ms", pa.int64(), nullable=False),
        pa.field("label", pa.bool_()),
        pa.field("label_time_ms", pa.int64()),
    ]
)
"""Columns of the table: as the history engine reads them, with the row's number in the file and its label."""

OnRows = Callable[[int], None]


@dataclass(frozen=True, kw_only=True)
class TransactionTable:
    """The accepted rows of a file in event-time order; ties in the order of the file.

    Attributes:
        path: Parquet with the columns of `SCHEMA`.
        rows: Rows in it.
        read: Rows of the file that were read.
        refused: Rows refused.
        rejected: Where they are, when there are any.
        ignored: Columns of the file that nothing uses.
        assumed_zone: The zone in which times without one were read; None when all had one.
    """

    path: Path
    rows: int
    read: int
    refused: int
    rejected: Path | None
    ignored: tuple[str, ...]
    assumed_zone: str | None

    def transactions(self, skip: int = 0) -> Iterator[Transaction]:
        """Yield the transactions in order, from the one after the first `skip` on."""
        return (transaction for _, transaction in self.numbered(skip))

    def numbered(self, skip: int = 0) -> Iterator[tuple[int, Transaction]]:
        """Yield the transactions in order, each with the number of its row in the file."""
        with pq.ParquetFile(self.path) as file:
            columns = [name for name in SCHEMA.names if name not in ("label", "label_time_ms")]
            rows = (row for batch in file.iter_batches(_SPOOL_ROWS, columns=columns) for row in batch.to_pylist())
            for row in islice(rows, skip, None):
                yield row.pop("file_row"), _transaction(row)


def read_transactions(
    path: Path,
    options: ReadingOptions,
    workspace: Path,
    *,
    rejected: Path | None = None,
    on_rows: OnRows | None = None,
) -> TransactionTable:
    """Read, check and order a file of transactions.

    A row that repeats the id of an earlier row of the same card is refused: it is the same transaction.

    Args:
        path: CSV, gzipped CSV or Parquet.
        options: How to read it.
        workspace: Folder for the table and for what does not fit in memory; as large as the file, three times.
        rejected: Where refused rows go; default: beside the file.
        on_rows: Told the rows read so far, now and then.

    Raises:
        TabularError: The file, or how it is to be read, is wrong.
    """
    source = open_source(path)
    columns = options.columns(source.columns)
    with RejectedRows(rejected or rejected_path(path)) as refused:
        checker = RowChecker(options, columns, refused)
        spool = workspace / "checked.parquet"
        read = 0
        with pq.ParquetWriter(spool, SCHEMA, compression="zstd") as writer:
            for batch in _first_rows(source.batches(checker.wanted), options.rows):
                writer.write_batch(_record_batch(checker.check(batch)))
                read += len(batch.numbers) + len(batch.unreadable)
                if on_rows:
                    on_rows(read)
        table = workspace / "transactions.parquet"
        rows = _order(spool, table, workspace, refused)
        spool.unlink()
        return TransactionTable(
            path=table,
            rows=rows,
            read=read,
            refused=refused.count,
            rejected=refused.path if refused.count else None,
            ignored=options.ignored(source.columns),
            assumed_zone=options.timezone if checker.times.assumed else None,
        )


def _first_rows(batches: Iterator[RawBatch], limit: int | None) -> Iterator[RawBatch]:
    """Pass on the rows with numbers up to the limit."""
    for batch in batches:
        if limit is None:
            yield batch
            continue
        keep = sum(number <= limit for number in batch.numbers)
        unreadable = {number: reason for number, reason in batch.unreadable.items() if number <= limit}
        if keep or unreadable:
            columns = {name: column.slice(0, keep) for name, column in batch.columns.items()}
            yield RawBatch(batch.numbers[:keep], columns, unreadable)
        if keep < len(batch.numbers) or (len(batch.numbers) and batch.numbers[-1] >= limit):
            return


def _record_batch(checked: Iterator[Checked]) -> pa.RecordBatch:
    rows = [
        (
            number,
            one.transaction_id,
            one.card_id,
            one.amount_minor,
            one.currency,
            one.merchant_id,
            one.merchant_category,
            one.city,
            one.country,
            one.channel,
            one.latitude,
            one.longitude,
            one.event_time_ms,
            label,
            None if label_time is None else to_milliseconds(label_time),
        )
        for number, one, label, label_time in checked
    ]
    columns = list(zip(*rows, strict=True)) or [()] * len(SCHEMA)
    arrays = [pa.array(column, kind.type) for column, kind in zip(columns, SCHEMA, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


def _order(spool: Path, table: Path, workspace: Path, refused: RejectedRows) -> int:
    """Write the table; refuse repeated ids. DuckDB spills to the workspace what is beyond its memory limit."""
    config: dict[str, Any] = {
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "memory_limit": _MEMORY_LIMIT,
        "temp_directory": str(workspace / "spill"),
    }
    with duckdb.connect(config=config) as connection:
        connection.read_parquet(str(spool)).create_view("checked")
        connection.execute(_REPEATED)
        for row, transaction_id, first in connection.execute("SELECT * FROM repeated ORDER BY file_row").fetchall():
            refused.add(row, transaction_id, f"transaction_id: repeats row {first} of the same card")
        ordered = connection.sql(
            "SELECT * FROM checked ANTI JOIN repeated USING (file_row) ORDER BY event_time_ms, file_row"
        )
        ordered.write_parquet(str(table), compression="zstd", row_group_size=_SPOOL_ROWS * 4)
    return int(pq.read_metadata(table).num_rows)


_REPEATED = """
CREATE TABLE repeated AS
SELECT file_row, transaction_id, first FROM (
  SELECT file_row, transaction_id, min(file_row) OVER (PARTITION BY card_id, transaction_id) AS first FROM checked
) WHERE file_row > first
"""


def _transaction(row: dict[str, Any]) -> Transaction:
    minor, moment = row.pop("amount_minor"), row.pop("event_time_ms")
    present = {name: value for name, value in row.items() if value is not None}
    present["amount"] = to_major_units(minor, row["currency"])
    present["timestamp"] = to_rfc3339(moment)
    return Transaction.model_validate(present)
