"""What is compared between the live traffic and the reference, and when a comparison means anything.

A feature that looks back 30 days is small in the first days of any stream, however little the traffic changes. So a
quantity is compared only when the stream was older than its look-back at the window's start; until then it is named as
immature, and nothing is said of it. Score and decisions look back as far as the model's widest feature. Features of
the calendar follow the clock and not the traffic; they are what the reference is weighted by. A merchant's risk follows
the labels: it moves with every merchant that is compromised, which is what it is for and no reason to train again. What
labels say is judged by the recall (`functions.drift.recall`); of the risk only the missing share is compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from shared.features.catalogue import Catalogue, Entity, Feature, Kind
from shared.features.definition import DAY_MS

SCORE: Final = "score"
DECISION: Final = "decision"
RECALL: Final = "recall on labels"
CALENDAR_KINDS: Final = frozenset({Kind.HOUR_OF_DAY, Kind.WEEKEND})
_FLAGS: Final = frozenset({Kind.HIGH_RISK, Kind.IS_NEW})
ALERTS: Final = ("review", "decline")


class Measure(StrEnum):
    """How far apart two samples of a quantity are."""

    STABILITY = "population stability index"
    SHARE = "Cohen's h"


THRESHOLDS: Final = {Measure.STABILITY: 0.1, Measure.SHARE: 0.1}
"""Effect from which on a change counts: between small and medium. Of the index, where usage begins to speak of a change
(`shared.evidence.stability`); it is a third of a deviation of a normal distribution. Of a share, half a small effect:
five points at the middle, from 1 % to 2.3 % at the end."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """One thing to compare.

    Attributes:
        name: As findings name it.
        column: Column of the sample.
        measure: How far apart two samples of it are.
        look_back_ms: How old the stream must be for its values to be what they are in the long run.
        equals: Of a share: the text that is counted, of a text column; None counts ones among the known.
        missing: Of a share: missing values are counted.
        of_merchant: It is alike in all transactions of one merchant, so that a few large merchants decide it.
    """

    name: str
    column: str
    measure: Measure
    look_back_ms: int
    equals: str | None = None
    missing: bool = False
    of_merchant: bool = False


def look_back_ms(feature: Feature, catalogue: Catalogue) -> int:
    """Return how far back from a transaction a feature's value depends on the past, in milliseconds."""
    if feature.entity is Entity.TRANSACTION:
        return 0
    widest = max(feature.window_ms or 0, feature.whole_ms or 0)
    if feature.entity is Entity.MERCHANT:  # whole days that end a label delay before the transaction's day
        widest += catalogue.settings.label_delay_ms + DAY_MS
    return widest


def quantities(catalogue: Catalogue, names: Sequence[str]) -> list[Quantity]:
    """Return what is compared for a model of these features.

    Args:
        catalogue: The features' definitions.
        names: The model's features.
    """
    features = [catalogue[name] for name in names]
    widest = max((look_back_ms(feature, catalogue) for feature in features), default=0)
    found: list[Quantity] = []
    for feature in features:
        if feature.kind in CALENDAR_KINDS:
            continue
        back = look_back_ms(feature, catalogue)
        measure = Measure.SHARE if feature.kind in _FLAGS else Measure.STABILITY
        of_merchant = feature.entity is Entity.MERCHANT
        if feature.kind is not Kind.MERCHANT_RISK:
            found.append(Quantity(feature.name, feature.name, measure, back, of_merchant=of_merchant))
        if feature.null_when:
            name = f"{feature.name} missing"
            found.append(Quantity(name, feature.name, Measure.SHARE, back, missing=True, of_merchant=of_merchant))
    found.append(Quantity(SCORE, SCORE, Measure.STABILITY, widest))
    found += [Quantity(f"share of {one}", DECISION, Measure.SHARE, widest, equals=one) for one in ALERTS]
    return found
