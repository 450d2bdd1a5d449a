"""Compare engines with the oracle."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import pyarrow as pa

from shared.features.catalogue import CATALOGUE, Catalogue
from shared.features.history import HistoryFeatures
from shared.features.online import FeatureRead, OnlineFeatures
from tests.support.features.oracle import Label, Oracle, Tx

Answer = tuple[str, dict[str, int | float | None]]


def transactions_of(stream: Sequence[Tx | Label]) -> list[Tx]:
    """The transactions of a stream, in arrival order: what there are answers to."""
    return [item for item in stream if isinstance(item, Tx)]


def expected(stream: Sequence[Tx | Label], every: int = 1, oracle: Oracle | None = None) -> list[Answer]:
    """What the oracle answers at each transaction of a stream; features only at every so many, for they are slow."""
    oracle = oracle or Oracle()
    answers = []
    for number, item in enumerate(stream):
        if isinstance(item, Label):
            oracle.label(item)
        else:
            answers.append(oracle.record_and_read(item, read=number % every == 0))
    return answers


async def online_answers(
    features: OnlineFeatures, stream: Sequence[Tx | Label], batch: int = 1, catalogue: Catalogue = CATALOGUE
) -> list[Answer]:
    """What the online engine answers, in round trips of up to that many transactions or labels."""
    answers: list[Answer] = []
    for is_label, run in groupby(stream, lambda item: isinstance(item, Label)):
        items = list(run)
        for start in range(0, len(items), batch):
            if is_label:
                await features.label(items[start : start + batch])  # type: ignore[arg-type]
            else:
                reads = await features.record_and_read(items[start : start + batch])  # type: ignore[arg-type]
                answers += [_named(read, catalogue) for read in reads]
    return answers


def _named(read: FeatureRead, catalogue: Catalogue) -> Answer:
    return read.status.name.lower(), dict(zip(catalogue.names, read.values, strict=True))


def mismatches(stream: Sequence[Tx | Label], got: Sequence[Answer], wanted: Sequence[Answer]) -> list[str]:
    """One line per difference; floats may differ by one unit in the last place, all else must be equal."""
    lines = []
    for number, (tx, (status, values), (right_status, right)) in enumerate(
        zip(transactions_of(stream), got, wanted, strict=True)
    ):
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


def replay(stream: Sequence[Tx | Label]) -> str:
    """The stream as Python, to paste into a test."""
    return "stream = [\n" + "".join(f"    {item!r},\n" for item in stream) + "]"


def history_answers(stream: Sequence[Tx | Label], catalogue: Catalogue = CATALOGUE) -> list[Answer]:
    """What the history engine answers for a stream in arrival order."""
    history = HistoryFeatures(catalogue, threads=1)
    history._config["enable_progress_bar"] = False  # it would be drawn into what the tests print
    rows = history.table(*history_tables(stream)).to_pylist()
    return [(row["status"], {name: row[name] for name in catalogue.names}) for row in rows]


def history_tables(stream: Sequence[Tx | Label]) -> tuple[pa.Table, pa.Table]:
    """The transactions and the labels of a stream in arrival order, as the history engine takes them."""
    return _table(stream, Tx, _SCHEMA), _table(stream, Label, _LABEL_SCHEMA)


def _table(stream: Sequence[Tx | Label], kind: type[Tx | Label], schema: pa.Schema) -> pa.Table:
    rows = [(number, item) for number, item in enumerate(stream) if isinstance(item, kind)]
    columns: dict[str, Any] = {
        name: [getattr(item, name) for _, item in rows] for name in schema.names if name != "arrival"
    }
    return pa.table({**columns, "arrival": [number for number, _ in rows]}, schema=schema)


_TEXTS = ("transaction_id", "card_id", "merchant_id", "merchant_category", "city", "country", "channel")
_SCHEMA = pa.schema(
    [(name, pa.string()) for name in _TEXTS]
    + [(name, pa.int64()) for name in ("event_time_ms", "amount_minor", "arrival")]
    + [(name, pa.float64()) for name in ("latitude", "longitude")]
)
_LABEL_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("transaction_id", "card_id", "merchant_id")]
    + [(name, pa.int64()) for name in ("event_time_ms", "label_time_ms", "arrival")]
    + [("is_fraud", pa.bool_())]
)
