"""What has to be read of a card's history to answer a catalogue: aggregates over windows, each named once.

Several features share an aggregate: a mean needs the count and the sum of its window. Both engines compute the
aggregates of the plan and finish features from them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from shared.features.catalogue import Catalogue
from shared.features.definition import OTHERS_WINDOW_MS, Feature, Kind

STORED_TEXTS = ("merchant_id", "merchant_category", "city", "country", "channel")
"""The text fields of a transaction that a card's history keeps beside id, time, amount and place.

All are kept whatever the catalogue asks, so that a feature added later is right for transactions recorded before.
"""


class Op(StrEnum):
    """What is computed over the transactions in a window, x included."""

    COUNT = "count"
    SUM = "sum"
    """Sum of amounts."""
    SQUARES = "squares"
    """Sum of squared amounts."""
    DISTINCT = "distinct"
    """Number of different known values of a text field."""


class Aggregate(NamedTuple):
    """One aggregate over the window (t - window_ms, t]."""

    op: Op
    window_ms: int
    field: str | None = None

    @property
    def column(self) -> str:
        """A name for it, unique within a plan."""
        return "_".join(str(part) for part in (self.op.value, self.field, self.window_ms) if part is not None)


def aggregates_of(feature: Feature) -> tuple[Aggregate, ...]:
    """The aggregates a feature is finished from; none for features of the transaction alone."""
    match feature.kind:
        case Kind.COUNT:
            return (Aggregate(Op.COUNT, feature.window),)
        case Kind.SUM:
            return (Aggregate(Op.SUM, feature.window),)
        case Kind.MEAN:
            return (Aggregate(Op.COUNT, feature.window), Aggregate(Op.SUM, feature.window))
        case Kind.DISTINCT:
            return (Aggregate(Op.DISTINCT, feature.window, feature.of),)
        case Kind.ZSCORE:
            return (
                Aggregate(Op.COUNT, OTHERS_WINDOW_MS),
                Aggregate(Op.SUM, OTHERS_WINDOW_MS),
                Aggregate(Op.SQUARES, OTHERS_WINDOW_MS),
            )
        case _:
            return ()


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
