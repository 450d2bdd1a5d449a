"""Columns of a file as values of a transaction's fields."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from shared.tabular.options import TabularError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EXACT_FLOAT = 2**53
_PER_MILLISECOND = {"s": (1, 1000), "ms": (1, 1), "us": (1000, 1), "ns": (1_000_000, 1)}
_TRUE = frozenset({"1", "true", "t", "yes", "y"})
_FALSE = frozenset({"0", "false", "f", "no", "n"})

Read: TypeAlias = Any
"""A value, None where the file has none, or an `Unreadable`."""
Reads: TypeAlias = list[Read]


class Unreadable(str):
    """Why a value could not be read; never the value."""

    __slots__ = ()


def texts(column: pa.Array) -> Reads:
    """Read identifiers, codes and names. Whole numbers become their digits; the empty text is no value.

    Raises:
        TabularError: The column's type has no text form.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        return texts(column.dictionary_decode())
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return _decoded(column)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return [value or None for value in column.to_pylist()]
    if pa.types.is_integer(kind):
        return [None if value is None else str(value) for value in column.to_pylist()]
    if pa.types.is_floating(kind):
        return [_whole(value) for value in column.to_pylist()]
    if pa.types.is_null(kind):
        return [None] * len(column)
    raise TabularError(f"a column of type {kind} can not be a text")


def amounts(column: pa.Array) -> Reads:
    """Read amounts as decimal text; binary floats by their shortest decimal form, so 57.16 stays 57.16."""
    if pa.types.is_floating(column.type):
        return [None if value in (None, "nan") else value for value in pc.cast(column, pa.string()).to_pylist()]
    if pa.types.is_decimal(column.type):
        return list(column.to_pylist())
    return texts(column)


def degrees(column: pa.Array) -> Reads:
    """Read latitudes or longitudes; NaN is no value."""
    if pa.types.is_floating(column.type):
        return [None if value is None or math.isnan(value) else float(value) for value in column.to_pylist()]
    if pa.types.is_decimal(column.type):
        return [None if value is None else float(value) for value in column.to_pylist()]
    return texts(column)


def flags(column: pa.Array) -> Reads:
    """Read labels: booleans, 0 and 1, or true/false/yes/no in any case."""
    if pa.types.is_boolean(column.type):
        return list(column.to_pylist())
    return [_flag(value) for value in texts(column)]


class Times:
    """Reads times; those without a zone are taken to be in `zone`.

    A local time that occurs twice (clocks set back) is the first of the two; one that never occurred (clocks set
    forward) is read with the offset before the change (PEP 495, fold 0).

    Attributes:
        assumed: Whether any time came without a zone.
    """

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self.assumed = False

    def __call__(self, column: pa.Array) -> Reads:
        """Read a column of timestamps or of ISO 8601 texts as aware datetimes."""
        kind = column.type
        if pa.types.is_timestamp(kind):
            return self._timestamps(column)
        if pa.types.is_date(kind):
            return [None if value is None else Unreadable("is a date without a time") for value in column.to_pylist()]
        if pa.types.is_integer(kind) or pa.types.is_floating(kind):
            return [
                None if value is None else Unreadable("is a number; times are timestamps or ISO 8601 texts")
                for value in column.to_pylist()
            ]
        return [
            value if value is None or isinstance(value, Unreadable) else self._text(value) for value in texts(column)
        ]

    def _timestamps(self, column: pa.Array) -> Reads:
        divide, multiply = _PER_MILLISECOND[column.type.unit]
        counts = pc.cast(column, pa.int64()).to_pylist()
        aware = column.type.tz is not None
        self.assumed |= not aware and any(count is not None for count in counts)
        return [None if count is None else self._moment(count // divide * multiply, aware=aware) for count in counts]

    def _moment(self, milliseconds: int, *, aware: bool) -> Read:
        try:
            moment = _EPOCH + timedelta(milliseconds=milliseconds)
        except OverflowError:
            return Unreadable("is out of range")
        return moment if aware else moment.replace(tzinfo=self._zone)

    def _text(self, value: str) -> Read:
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return Unreadable("is not an ISO 8601 date and time")
        if _is_date(value):
            return Unreadable("is a date without a time")
        if moment.tzinfo is None:
            self.assumed = True
            return moment.replace(tzinfo=self._zone)
        return moment


def reader(field: str, times: Times) -> Callable[[pa.Array], Reads]:
    """Return what reads a column as that field of a transaction."""
    match field:
        case "amount":
            return amounts
        case "latitude" | "longitude":
            return degrees
        case "timestamp":
            return times
        case _:
            return texts


def _decoded(column: pa.Array) -> Reads:
    try:
        values = pc.cast(column, pa.string()).to_pylist()  # checks UTF-8 for the whole column at once
    except pa.ArrowInvalid:
        return [_decode(value) for value in column.to_pylist()]
    return [value or None for value in values]


def _decode(value: bytes | None) -> Read:
    if not value:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return Unreadable("is not UTF-8")


def _whole(value: float | None) -> Read:
    if value is None or math.isnan(value):
        return None
    if not value.is_integer():
        return Unreadable("is a number with decimals, no identifier")
    if abs(value) >= _EXACT_FLOAT:
        return Unreadable("is a floating-point number that has lost digits, no identifier")
    return str(int(value))


def _flag(value: Read) -> Read:
    if value is None or isinstance(value, Unreadable):
        return value
    word = value.strip().lower()
    if word in _TRUE:
        return True
    return False if word in _FALSE else Unreadable("is neither true nor false")


def _is_date(value: str) -> bool:
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True
