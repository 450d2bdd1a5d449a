"""The periods of a backtest, and which rows of them serve which purpose."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from functions.train.dataset import Dataset, Examples
from functions.train.errors import NotEnoughData
from functions.train.split import Purpose, Span, assemble, within
from shared.features.catalogue import Feature, Kind

TRAIN_SHARE = 0.6
VALIDATION_SHARES = {"stopping": 0.16, "calibration": 0.07, "policy": 0.13}
"""Of the training period's cards; those that say when to stop are learned from in the end."""
_SEED = 0


@dataclass(frozen=True, slots=True)
class Asked:
    """Bounds of event time in UTC milliseconds as they were given; ends are exclusive, None is the default."""

    train_from: int | None = None
    train_until: int | None = None
    test_from: int | None = None
    test_until: int | None = None


def backtest_periods(asked: Asked, *, first_ms: int, last_ms: int, label_delay_ms: int) -> tuple[Span, Span]:
    """Return the training and the test period.

    By default the first 60 % train, the label delay is a gap, and the rest tests.

    Args:
        asked: What was given.
        first_ms: First event time of the file.
        last_ms: Its last.
        label_delay_ms: How long labels take.

    Raises:
        NotEnoughData: The periods are in the wrong order, or outside the file.
    """
    end_ms = last_ms + 1
    train_from = first_ms if asked.train_from is None else asked.train_from
    train_until = asked.train_until
    if train_until is None:
        train_until = train_from + int(TRAIN_SHARE * (end_ms - train_from))
    test_from = train_until + label_delay_ms if asked.test_from is None else asked.test_from
    test_until = end_ms if asked.test_until is None else asked.test_until
    if not train_from < train_until <= test_from < test_until:
        raise NotEnoughData("training must begin before it ends, and the test after that and before its own end")
    if train_until <= first_ms or test_from > last_ms:
        raise NotEnoughData("the file has no transactions in the training period or none in the test period")
    return (train_from, train_until), (test_from, test_until)


def without_clocks(examples: Examples, train: Span) -> Examples:
    """Leave out counts whose window is longer than the file goes back anywhere in the training period.

    Such a count grows with the days since the file began. Trees take it for a clock, and in the test period, where it
    is larger than they ever saw, they find fraud everywhere. Means, shares and ratios do not grow.
    """
    delay_ms = examples.catalogue.settings.label_delay_ms
    columns = [
        column
        for column, name in enumerate(examples.names)
        if train[1] - examples.start_ms >= _history_of_count_ms(examples.catalogue[name], delay_ms)
    ]
    if len(columns) == len(examples.names):
        return examples
    rows = replace(examples.rows, features=np.ascontiguousarray(examples.rows.features[:, columns]))
    return replace(examples, names=tuple(examples.names[column] for column in columns), rows=rows)


def _history_of_count_ms(feature: Feature, label_delay_ms: int) -> int:
    if feature.kind is Kind.COUNT:
        return feature.window
    return feature.window + label_delay_ms if feature.kind is Kind.MERCHANT_COUNT else 0


def split_file(examples: Examples, train: Span, test: Span) -> Dataset:
    """Divide the training period by card between learning and choosing; the test period comes after, whole.

    Files are short: taking the end of the training period for early stopping, calibration and thresholds would leave
    the trees what is oldest. Labels of the training period count as they were known when the test begins.

    Raises:
        NotEnoughData: A purpose has too few rows or frauds.
    """
    cards = int(examples.rows.card.max()) + 1
    place = np.random.default_rng(_SEED).random(cards)[examples.rows.card]
    learning = within(examples, train)
    purposes, taken = {}, 0.0
    for name, share in VALIDATION_SHARES.items():
        purposes[name] = Purpose(learning & (place >= taken) & (place < taken + share), test[0])
        taken += share
    purposes["train"] = Purpose(learning & (place >= taken), test[0])
    return assemble(examples, {**purposes, "test": Purpose(within(examples, test), examples.cut_ms)})
