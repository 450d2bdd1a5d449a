"""Batches of raw columns from a file, in bounded memory, row by row numbered."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Protocol, cast

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from shared.tabular.options import TabularError

_BATCH_ROWS = 16_384
_BLOCK_BYTES = 4 << 20  # also the longest row of a CSV
_DELIMITERS = ",;\t|"
_GZIP = b"\x1f\x8b"
_PARQUET = b"PAR1"


@dataclass(frozen=True)
class RawBatch:
    """Some rows of the file.

    Attributes:
        numbers: Number of each row in the file; the first row of data is 1.
        columns: The columns asked for, all as long as `numbers`.
        unreadable: Row number -> why, for rows that are no rows of this table (too few or too many values).
    """

    numbers: Sequence[int]
    columns: dict[str, pa.Array]
    unreadable: dict[int, str] = field(default_factory=dict)


class Source(Protocol):
    """A file with columns."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, in the order of the file."""
        ...

    def batches(self, columns: Sequence[str]) -> Iterator[RawBatch]:
        """Read those columns.

        Raises:
            TabularError: The file is broken.
        """
        ...


def open_source(path: Path) -> Source:
    """Open a file by what it holds, whatever its name.

    Raises:
        TabularError: It cannot be read or has no columns.
    """
    try:
        with path.open("rb") as file:
            start = file.read(4)
        if start == _PARQUET:
            return ParquetSource(path)
        return CsvSource(path, compressed=start[:2] == _GZIP)
    except (OSError, EOFError, zlib.error) as error:
        raise TabularError(f"{path} can not be read: {getattr(error, 'strerror', None) or error}") from None


class ParquetSource:
    """A Parquet file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self.columns: tuple[str, ...] = tuple(pq.read_schema(path).names)
        except pa.ArrowInvalid as error:
            raise TabularError(f"{path} is no whole Parquet file: {error}") from None

    def batches(self, columns: Sequence[str]) -> Iterator[RawBatch]:
        """Read those columns."""
        row = 1
        try:
            with pq.ParquetFile(self._path) as file:
                for batch in file.iter_batches(_BATCH_ROWS, columns=list(columns)):
                    yield RawBatch(range(row, row + batch.num_rows), {name: batch.column(name) for name in columns})
                    row += batch.num_rows
        except (pa.ArrowException, OSError) as error:
            raise TabularError(f"{self._path} is broken after row {row - 1}: {error}") from None


class CsvSource:
    """A CSV file in UTF-8 with a header, gzipped or not; comma, semicolon, tab or bar separated.

    Values are handed on as bytes: an identifier keeps its leading zeros, an amount all its decimals, and a value that
    is no UTF-8 spoils its own row only. Only the empty value means absent: NA is Namibia.
    """

    def __init__(self, path: Path, *, compressed: bool) -> None:
        self._path = path
        self._compressed = compressed
        with self._open() as file:
            header = _first_record(file, path)
        self._delimiter = max(_DELIMITERS, key=header.count)
        self.columns: tuple[str, ...] = tuple(next(csv.reader([header], delimiter=self._delimiter)))

    def batches(self, columns: Sequence[str]) -> Iterator[RawBatch]:
        """Read those columns."""
        unreadable: dict[int, str] = {}

        def skip(row: Any) -> str:
            # row.number counts the header as 1
            unreadable[row.number - 1] = f"has {row.actual_columns} values for {row.expected_columns} columns"
            return "skip"

        row = 1
        try:
            with self._open() as file, self._reader(file, columns, skip) as reader:
                for batch in reader:
                    numbers, row = _numbers(row, batch.num_rows, unreadable)
                    passed = {number: unreadable.pop(number) for number in sorted(unreadable) if number < row}
                    yield RawBatch(numbers, {name: batch.column(name) for name in columns}, passed)
        except (pa.ArrowException, OSError, EOFError, zlib.error) as error:
            raise TabularError(f"{self._path} is broken after row {row - 1}: {error}") from None
        if unreadable:
            yield RawBatch((), {name: pa.array([], pa.binary()) for name in columns}, unreadable)

    @contextmanager
    def _open(self) -> Iterator[IO[bytes]]:
        if self._compressed:
            with gzip.open(self._path) as unpacked:
                yield cast("IO[bytes]", unpacked)
        else:
            with self._path.open("rb") as file:
                yield file

    def _reader(self, file: IO[bytes], columns: Sequence[str], skip: Any) -> Any:
        return pa_csv.open_csv(
            file,
            read_options=pa_csv.ReadOptions(use_threads=False, block_size=_BLOCK_BYTES),
            parse_options=pa_csv.ParseOptions(
                delimiter=self._delimiter, newlines_in_values=True, invalid_row_handler=skip
            ),
            convert_options=pa_csv.ConvertOptions(
                check_utf8=False,
                strings_can_be_null=False,
                column_types=dict.fromkeys(columns, pa.binary()),
                include_columns=list(columns),
            ),
        )


def _numbers(row: int, count: int, skipped: dict[int, str]) -> tuple[Sequence[int], int]:
    """Number `count` rows from `row` on, passing over the skipped ones; return also the number that comes next."""
    if not any(row <= number < row + count + len(skipped) for number in skipped):
        return range(row, row + count), row + count
    numbers: list[int] = []
    while len(numbers) < count:
        if row not in skipped:
            numbers.append(row)
        row += 1
    return numbers, row


def _first_record(file: IO[bytes], path: Path) -> str:
    line = file.readline(_BLOCK_BYTES)
    while line.strip() == b"" and line:
        line = file.readline(_BLOCK_BYTES)
    try:
        header = line.decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError:
        raise TabularError(f"{path} is neither Parquet nor text in UTF-8") from None
    if not header or "\x00" in header:
        raise TabularError(f"{path} is empty" if not header else f"{path} is neither Parquet nor text in UTF-8")
    return header
