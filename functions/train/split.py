"""The split by time: learn, wait for the labels, choose, judge."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np

from functions.train.dataset import Dataset, Examples
from functions.train.errors import NotEnoughData
from functions.train.rows import Bools, Rows

VALIDATION_SHARES = (0.3, 0.25, 0.45)
"""Of the validation period: early stopping, calibration, thresholds."""
LEAST_ROWS = 100
LEAST_FRAUDS = 3

Span = tuple[int, int]
"""First and last millisecond of event time, the last exclusive."""


@dataclass(frozen=True, slots=True)
class Periods:
    """Event times of each purpose, and when their labels are looked at.

    Attributes:
        train: Of the rows that the trees learn from.
        validation: Of the rows for early stopping, calibration and thresholds, one after the other.
        test: Of the rows that are judged.
        train_labels_ms: Labels of training rows that became known later are invisible.
        validation_labels_ms: The same for validation rows; test rows take all labels up to the cut.
    """

    train: Span
    validation: Span
    test: Span
    train_labels_ms: int
    validation_labels_ms: int

    def validation_parts(self) -> tuple[Span, Span, Span]:
        """Return the periods of early stopping, calibration and thresholds."""
        first, last = self.validation
        ends = (first + np.cumsum(VALIDATION_SHARES) * (last - first)).astype(np.int64).tolist()
        return (first, ends[0]), (ends[0], ends[1]), (ends[1], last)


def periods_by_share(start_ms: int, end_ms: int, *, gap_ms: int, train_share: float, test_share: float) -> Periods:
    """Divide a time into training, a gap for the labels to arrive, validation and test.

    At the end of the gap, when learning would have begun, the labels of all training rows were known.

    Args:
        start_ms: First event time.
        end_ms: Last event time, exclusive.
        gap_ms: The longest that a label takes.
        train_share: Share of the time without the gap that is learned from.
        test_share: Share of the rest that is kept for the test.

    Raises:
        NotEnoughData: The time is no longer than the gap.
    """
    usable = end_ms - start_ms - gap_ms
    if usable <= 0:
        raise NotEnoughData("the labelled time is no longer than the labels take to arrive")
    train_end = start_ms + int(train_share * usable)
    learned = train_end + gap_ms
    test_start = end_ms - int(test_share * (end_ms - learned))
    return Periods((start_ms, train_end), (learned, test_start), (test_start, end_ms), learned, end_ms + gap_ms)


def split_by_time(examples: Examples, periods: Periods) -> Dataset:
    """Give each row its purpose; rows whose label was not known at the moment it is looked at have none.

    Raises:
        NotEnoughData: A purpose has too few rows or frauds.
    """

    def between(span: Span, moment_ms: int) -> Rows:
        is_fraud, known = examples.labels.at(min(moment_ms, examples.cut_ms))
        time_ms = examples.rows.event_time_ms
        wanted = known & (time_ms >= span[0]) & (time_ms < span[1])
        return _labelled(examples.rows.take(wanted), is_fraud[wanted])

    stopping, calibration, policy = periods.validation_parts()
    parts = {
        "train": between(periods.train, periods.train_labels_ms),
        "stopping": between(stopping, periods.validation_labels_ms),
        "calibration": between(calibration, periods.validation_labels_ms),
        "policy": between(policy, periods.validation_labels_ms),
        "test": between(periods.test, examples.cut_ms),
    }
    for name, rows in parts.items():
        if len(rows) < LEAST_ROWS or rows.frauds < LEAST_FRAUDS:
            raise NotEnoughData(
                f"the {name} period has {len(rows)} labelled transactions with {rows.frauds} frauds; "
                f"{LEAST_ROWS} with {LEAST_FRAUDS} are needed"
            )
    digest = hashlib.sha256(examples.catalogue.version.encode())
    for name, rows in parts.items():
        digest.update(rows.digest(name, *examples.names).encode())
    return Dataset(
        names=examples.names,
        catalogue=examples.catalogue,
        **parts,
        source=examples.source,
        digest=digest.hexdigest(),
        cut_ms=examples.cut_ms,
        count_mismatches=examples.count_mismatches,
        versions=examples.versions,
    )


def _labelled(rows: Rows, is_fraud: Bools) -> Rows:
    pattern = rows.pattern.copy()
    pattern[~is_fraud] = None
    return replace(rows, is_fraud=is_fraud, pattern=pattern)
