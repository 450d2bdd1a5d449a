"""Reads what both models said of the same transactions, with what is known of them by now."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from functions.promote.evidence import Bools, Floats, Opinions, Pairs
from shared.features.definition import DAY_MS
from shared.lake.errors import TableMissing
from shared.lake.lake import Days
from shared.lake.schema import EVENT_TIME, TableName

_SIDES: Final = ("champion", "challenger")
_SHADOW: Final = (
    "decision_id", "transaction_id", "card_id", EVENT_TIME,
    *(f"{side}_{field}" for side in _SIDES for field in ("score", "decision")),
)  # fmt: skip
_KEYS: Final = ["card_id", "decision_id"]
_CONTROL: Final = ("control", "propensity")


class Tables(Protocol):
    """What is asked of `shared.lake.lake.Lake`."""

    def dataset(self, name: TableName, days: Days | None = None, version: int | None = None) -> Any:
        """Return a table as an Arrow dataset."""


def read_pairs(lake: Tables, champion: str, challenger: str, *, as_of_ms: int, days: int, horizon_ms: int) -> Pairs:
    """Read the transactions that two versions scored.

    A transaction is matured when the label horizon has passed since; then no label means genuine. A declined one gets
    no chargeback: where a share of would-be declines is let through as a control group, that group stands for all of
    them by the inverse of its chance (Horvitz and Thompson 1952); where there is none, a declined transaction counts
    only with a label.

    Args:
        lake: Where shadows, decisions and labels are.
        champion: Version that decided.
        challenger: Version in the shadow.
        as_of_ms: What became known later is invisible, UTC milliseconds.
        days: How far back to look.
        horizon_ms: How long after a transaction the absence of a label means that it was genuine.

    Raises:
        LakeAway: The storage does not answer.
    """
    span = as_of_ms - days * DAY_MS, as_of_ms
    shadows = _rows(
        lake,
        "shadows",
        _SHADOW,
        span,
        # An opinion is a function of the vector that was logged with the decision: when it was formed does not matter,
        # and traffic that is replayed from the past is scored long after.
        (pc.field("champion_model_version") == champion) & (pc.field("challenger_model_version") == challenger),
    )
    decisions = _rows(
        lake,
        "decisions",
        (*_KEYS, "amount_minor", "currency", *_CONTROL),
        span,
        pc.field("model_version") == champion,
    )
    joined = shadows.join(decisions, _KEYS, join_type="inner")
    labels = _rows(
        lake,
        "labels",
        ("card_id", "transaction_id", "is_fraud", "label_time_ms", "arrival"),
        span,
        pc.field("label_time_ms") <= as_of_ms,
    )
    return _pairs(_with_labels(joined, labels), as_of_ms - horizon_ms)


def _pairs(joined: pa.Table, matured_before_ms: int) -> Pairs:
    labelled = joined.column("is_fraud").is_valid().to_numpy(zero_copy_only=False)
    is_fraud = joined.column("is_fraud").fill_null(False).to_numpy(zero_copy_only=False)
    decision = _texts(joined, "champion_decision")
    kept, weight, silent, decision = _fair(joined, decision)
    old_enough = joined.column(EVENT_TIME).to_numpy() <= matured_before_ms
    return Pairs(
        champion=Opinions(_numbers(joined, "champion_score"), decision),
        challenger=Opinions(_numbers(joined, "challenger_score"), _texts(joined, "challenger_decision")),
        card=_texts(joined, "card_id"),
        amount=_amounts(joined),
        is_fraud=is_fraud,
        matured=kept & old_enough & (labelled | ~silent),
        weight=weight,
    )


def _with_labels(joined: pa.Table, labels: pa.Table) -> pa.Table:
    """Add `is_fraud`, which is what the latest label says, and null without one."""
    ordered = labels.sort_by([("label_time_ms", "ascending"), ("arrival", "ascending")])
    keys = zip(ordered.column("card_id").to_pylist(), ordered.column("transaction_id").to_pylist(), strict=True)
    latest = dict(zip(keys, ordered.column("is_fraud").to_pylist(), strict=True))
    known = pa.table(
        {
            "card_id": pa.array([card for card, _ in latest], pa.string()),
            "transaction_id": pa.array([transaction for _, transaction in latest], pa.string()),
            "is_fraud": pa.array(latest.values(), pa.bool_()),
        }
    )
    return joined.join(known, ["card_id", "transaction_id"], join_type="left outer")


def _fair(joined: pa.Table, decision: npt.NDArray[np.str_]) -> tuple[Bools, Floats, Bools, npt.NDArray[np.str_]]:
    """Return which rows speak for all, how many each stands for, where no label can come, and what was decided."""
    declined = np.asarray(decision == "decline")
    everything = np.ones(len(joined), bool)
    if _CONTROL[0] not in joined.column_names:
        return everything, np.ones(len(joined)), declined, decision
    control = joined.column(_CONTROL[0]).fill_null(False).to_numpy(zero_copy_only=False).astype(bool)
    if not control.any():
        return everything, np.ones(len(joined)), declined, decision
    chance = joined.column(_CONTROL[1]).to_numpy(zero_copy_only=False).astype(np.float64)
    weight = np.where(control, 1 / np.where(control, chance, 1.0), 1.0)
    # The champion would have declined what the control group let through.
    return control | ~declined, weight, np.zeros(len(joined), bool), np.where(control, "decline", decision)


def _amounts(joined: pa.Table) -> Floats:
    """Return amounts in the commonest currency; those of others cannot be added to them and count nothing."""
    amount, currency = _numbers(joined, "amount_minor"), _texts(joined, "currency")
    if not len(amount):
        return amount
    names, counts = np.unique(currency, return_counts=True)
    return np.where(currency == names[counts.argmax()], amount, 0.0)


def _rows(lake: Tables, name: TableName, columns: Sequence[str], span: tuple[int, int], wanted: Any) -> pa.Table:
    first, until = span
    try:
        dataset = lake.dataset(name, _days(first, until))
    except TableMissing:
        return pa.table({column: pa.array([], _EMPTY.get(column, pa.string())) for column in columns})
    there = [column for column in columns if column in dataset.schema.names]
    inside = (pc.field(EVENT_TIME) > first) & (pc.field(EVENT_TIME) <= until)
    return dataset.to_table(columns=there, filter=inside & wanted)


_EMPTY: Final = {
    EVENT_TIME: pa.int64(),
    "champion_score": pa.float64(),
    "challenger_score": pa.float64(),
    "amount_minor": pa.int64(),
    "is_fraud": pa.bool_(),
    "label_time_ms": pa.int64(),
    "arrival": pa.int64(),
    "control": pa.bool_(),
    "propensity": pa.float64(),
}


def _texts(table: pa.Table, column: str) -> npt.NDArray[np.str_]:
    return np.asarray(table.column(column).to_numpy(zero_copy_only=False).astype(str))


def _numbers(table: pa.Table, column: str) -> Floats:
    return np.asarray(pc.cast(table.column(column), pa.float64()).to_numpy(zero_copy_only=False), np.float64)


def _days(first_ms: int, until_ms: int) -> tuple[date, date]:
    first, last = (datetime.fromtimestamp(one / 1000, UTC).date() for one in (first_ms, until_ms))
    return first, last + timedelta(days=1)
