"""What has to be read of a card's history to answer a catalogue: aggregates over windows, each named once.

Several features share an aggregate: a mean needs the count and the sum of its window. Both engines compute the
aggregates of the plan and finish features from them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from shared.features.catalogue import Catalogue
from shared.features.definition import Feature, Kind

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


class Aggregate(NamedTuple):
    """One aggregate over the window (t - window_ms, t]."""

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
}


def aggregates_of(feature: Feature) -> tuple[Aggregate, ...]:
    """The aggregates a feature is finished from; none for features of the transaction alone."""
    parts = tuple(Aggregate(op, feature.window, feature.of) for op in _OPS.get(feature.kind, ()))
    return parts if feature.whole_ms is None else (*parts, Aggregate(Op.SUM, feature.whole_ms))


def plan(catalogue: Catalogue) -> tuple[Aggregate, ...]:
    """All aggregates of a catalogue, each once, in order of first use.

    Raises:
        ValueError: A feature looks at a text field that a card's history does not keep.
    """
    found: dict[Aggregate, None] = {}
    for feature in catalogue:
        for aggregate in aggregates_of(feature):
            if aggregate.field is not None and aggregate.field not in STORED_TEXTS:
                raise ValueError(f"{feature.name}: a card's history does not keep {aggregate.field}")
            found[aggregate] = None
    return tuple(found)
