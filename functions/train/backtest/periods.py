"""The periods of a backtest: from dates that were given, or by share."""

from __future__ import annotations

from dataclasses import dataclass

from functions.train.errors import NotEnoughData
from functions.train.split import Periods

TRAIN_SHARE = 0.6
VALIDATION_SHARE = 0.3
"""Of the training period, at its end: nothing after it may be looked at before the test."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Bounds of event time in UTC milliseconds as they were given; ends are exclusive, None is the default."""

    train_from: int | None = None
    train_until: int | None = None
    test_from: int | None = None
    test_until: int | None = None


def backtest_periods(asked: Asked, *, first_ms: int, last_ms: int, label_delay_ms: int, cut_ms: int) -> Periods:
    """Return the periods; by default the first 60 % train, the label delay is a gap, the rest tests.

    The end of the training period chooses: stopping, calibration and thresholds. Labels of both count as they were
    known when the test begins, so a training period that ends less than a label delay before is cut short.

    Args:
        asked: What was given.
        first_ms: First event time of the file.
        last_ms: Its last.
        label_delay_ms: How long labels take.
        cut_ms: When the last label was known.

    Raises:
        NotEnoughData: The periods are in the wrong order, or outside the file.
    """
    end_ms = last_ms + 1
    train_from = first_ms if asked.train_from is None else asked.train_from
    train_until = asked.train_until
    if train_until is None:
        train_until = train_from + int(TRAIN_SHARE * (end_ms - train_from))
    test_from = max(train_until, train_until + label_delay_ms) if asked.test_from is None else asked.test_from
    test_until = end_ms if asked.test_until is None else asked.test_until
    if not train_from < train_until <= test_from < test_until:
        raise NotEnoughData("training must begin before it ends, and the test after that and before its own end")
    if train_until <= first_ms or test_from > last_ms:
        raise NotEnoughData("the file has no transactions in the training period or none in the test period")
    train_until = min(train_until, test_from - label_delay_ms)
    if train_until <= max(train_from, first_ms):
        raise NotEnoughData("when the test begins no label of the training period is known yet")
    validation_from = train_until - int(VALIDATION_SHARE * (train_until - max(train_from, first_ms)))
    return Periods(
        train=(train_from, validation_from),
        validation=(validation_from, train_until),
        test=(test_from, test_until),
        train_labels_ms=test_from,
        validation_labels_ms=min(test_from, cut_ms),
    )
