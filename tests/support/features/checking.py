"""Compare engines with the oracle."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from shared.features.catalogue import CATALOGUE, Catalogue
from shared.features.history import HistoryFeatures
from shared.features.online import FeatureRead, OnlineFeatures
from tests.support.features.oracle import Oracle, Tx

Answer = tuple[str, dict[str, int | float | None]]


def expected(stream: Sequence[Tx], every: int = 1) -> list[Answer]:
    """What the oracle answers at each transaction of a stream; features only at every so many, for they are slow."""
    oracle = Oracle()
    return [oracle.record_and_read(tx, read=number % every == 0) for number, tx in enumerate(stream)]


async def online_answers(
    features: OnlineFeatures, stream: Sequence[Tx], batch: int = 1, catalogue: Catalogue = CATALOGUE
) -> list[Answer]:
    """What the online engine answers, in round trips of that many."""
    answers: list[Answer] = []
    for start in range(0, len(stream), batch):
        reads = await features.record_and_read(stream[start : start + batch])  # type: ignore[arg-type]
        answers += [_named(read, catalogue) for read in reads]
    return answers


def _named(read: FeatureRead, catalogue: Catalogue) -> Answer:
    return read.status.name.lower(), dict(zip(catalogue.names, read.values, strict=True))


def mismatches(stream: Sequence[Tx], got: Sequence[Answer], wanted: Sequence[Answer]) -> list[str]:
    """One line per difference; floats may differ by one unit in the last place, all else must be equal."""
    lines = []
    for number, (tx, (status, values), (right_status, right)) in enumerate(zip(stream, got, wanted, strict=True)):
        if status != right_status:
            lines.append(f"{number} {tx.transaction_id}: status {status}, not {right_status}")
        if right and values.keys() != right.keys():
            lines.append(f"{number} {tx.transaction_id}: features {sorted(values)}, not {sorted(right)}")
        lines += [
            f"{number} {tx.transaction_id}: {name} is {values[name]!r}, not {value!r}"
            for name, value in right.items()
            if not same(values.get(name), value)
        ]
    return lines


def same(got: Any, wanted: Any) -> bool:
    """Equal and of one type; floats within one unit in the last place."""
    if isinstance(wanted, float):
        return isinstance(got, float) and abs(got - wanted) <= math.ulp(wanted)
    return type(got) is type(wanted) and got == wanted


def replay(stream: Sequence[Tx]) -> str:
    """The stream as Python, to paste into a test."""
    return "stream = [\n" + "".join(f"    {tx!r},\n" for tx in stream) + "]"


def history_answers(stream: Sequence[Tx], catalogue: Catalogue = CATALOGUE) -> list[Answer]:
    """What the history engine answers for a stream in arrival order."""
    columns = {name: [getattr(tx, name) for tx in stream] for name in _COLUMNS}
    table = pa.table({**columns, "arrival": range(len(stream))}, schema=_SCHEMA)
    rows = HistoryFeatures(catalogue, threads=1).table(table).to_pylist()
    return [(row["status"], {name: row[name] for name in catalogue.names}) for row in rows]


_TEXTS = ("transaction_id", "card_id", "merchant_id", "merchant_category", "city", "country", "channel")
_SCHEMA = pa.schema(
    [(name, pa.string()) for name in _TEXTS]
    + [(name, pa.int64()) for name in ("event_time_ms", "amount_minor", "arrival")]
    + [(name, pa.float64()) for name in ("latitude", "longitude")]
)
_COLUMNS = [name for name in _SCHEMA.names if name != "arrival"]
