"""What has to be read of a card and a merchant to answer a catalogue: aggregates over windows, each named once.

Several features share an aggregate: a mean needs the count and the sum of its window. Both engines compute the
aggregates of the plan and finish features from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from shared.features.catalogue import Catalogue
from shared.features.definition import DAY_MS, MERCHANT_WINDOW_DAYS, Entity, Feature, Kind

STORED_TEXTS = ("merchant_id", "merchant_category", "city", "country", "channel")
"""The text fields of a transaction that a card's history keeps beside id, time, amount and place.

All are kept whatever the catalogue asks, so that a feature added later is right for transactions recorded before.
"""


class Op(StrEnum):
    """What is computed over the transactions in a window, x included unless others are named."""

    COUNT = "count"
    SUM = "sum"
    """Sum of amounts."""
    SQUARES = "squares"
    """Sum of squared amounts."""
    DISTINCT = "distinct"
    """Number of different known values of a text field."""
    NIGHT = "night"
    """Number at night."""
    LARGEST = "largest"
    """Largest amount of the others; 0 without others."""
    LATEST = "latest"
    """Event time of the latest other; -1 without others."""
    LATEST_PLACE = "latest_place"
    """Event time and place of the latest located other (the first recorded of several); -1 without one."""
    MET = "met"
    """Whether another has the same known value of a text field."""
    MERCHANT_COUNT = "merchant_count"
    """Number of the merchant's transactions on whole days."""
    MERCHANT_FRAUDS = "merchant_frauds"
    """Number of those that are labelled fraud."""


class Aggregate(NamedTuple):
    """One aggregate over the window (t - window_ms, t], or over the whole days of a merchant's window."""

    op: Op
    window_ms: int
    field: str | None = None

    @property
    def column(self) -> str:
        """A name for it, unique within a plan."""
        return "_".join(str(part) for part in (self.op.value, self.field, self.window_ms) if part is not None)


_OPS = {
    Kind.COUNT: (Op.COUNT,),
    Kind.SUM: (Op.SUM,),
    Kind.MEAN: (Op.COUNT, Op.SUM),
    Kind.DISTINCT: (Op.DISTINCT,),
    Kind.ZSCORE: (Op.COUNT, Op.SUM, Op.SQUARES),
    Kind.SPEND_SHARE: (Op.SUM,),
    Kind.NIGHT_SHARE: (Op.COUNT, Op.NIGHT),
    Kind.RATIO_TO_MEAN: (Op.COUNT, Op.SUM),
    Kind.RATIO_TO_MAX: (Op.LARGEST,),
    Kind.SINCE_LAST: (Op.LATEST,),
    Kind.SPEED: (Op.LATEST_PLACE,),
    Kind.IS_NEW: (Op.MET,),
    Kind.MERCHANT_COUNT: (Op.MERCHANT_COUNT,),
    Kind.MERCHANT_RISK: (Op.MERCHANT_COUNT, Op.MERCHANT_FRAUDS),
}


def aggregates_of(feature: Feature) -> tuple[Aggregate, ...]:
    """The aggregates a feature is finished from; none for features of the transaction alone."""
    parts = tuple(Aggregate(op, feature.window, feature.of) for op in _OPS.get(feature.kind, ()))
    return parts if feature.whole_ms is None else (*parts, Aggregate(Op.SUM, feature.whole_ms))


def plan(catalogue: Catalogue) -> tuple[Aggregate, ...]:
    """All aggregates over the card's history, each once, in order of first use.

    Raises:
        ValueError: A feature looks at a text field that a card's history does not keep.
    """
    found: dict[Aggregate, None] = {}
    for feature in catalogue:
        if feature.entity is Entity.MERCHANT:
            continue
        for aggregate in aggregates_of(feature):
            if aggregate.field is not None and aggregate.field not in STORED_TEXTS:
                raise ValueError(f"{feature.name}: a card's history does not keep {aggregate.field}")
            found[aggregate] = None
    return tuple(found)


def merchant_windows(catalogue: Catalogue) -> tuple[int, ...]:
    """Lengths in days of the windows of the merchant's features, each once, the shortest first.

    Raises:
        ValueError: One is no whole number of days, or longer than what a merchant remembers is made for.
    """
    found = set()
    for feature in catalogue:
        if feature.entity is Entity.MERCHANT:
            days, rest = divmod(feature.window, DAY_MS)
            if rest or not 1 <= days <= MERCHANT_WINDOW_DAYS:
                raise ValueError(f"{feature.name}: a merchant's window is 1 to {MERCHANT_WINDOW_DAYS} whole days")
            found.add(days)
    return tuple(sorted(found))


def merchant_aggregates(windows: Sequence[int]) -> tuple[Aggregate, ...]:
    """What is read of a merchant: for each window in days the number of transactions and of frauds."""
    return tuple(Aggregate(op, days * DAY_MS) for days in windows for op in (Op.MERCHANT_COUNT, Op.MERCHANT_FRAUDS))
