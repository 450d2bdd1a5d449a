"""Label evidence: does the champion still find the fraud that it used to find?

A new pattern of fraud is a small part of the traffic, so no feature need move. It shows when its labels arrive: among
the frauds that became known lately fewer were alerted on than among those before. Both groups are taken by when their
labels arrived, so that each is as mature as the other, and both were decided by the same champion.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from functions.drift.comparison import DRAWS, SEED, Compared, Floats
from functions.drift.quantities import RECALL, Measure
from functions.drift.samples import Decisions
from shared.evidence.bootstrap import GROUPS, Estimate, groups_of, poisson_weights
from shared.evidence.proportions import cohens_h
from shared.features.definition import DAY_MS
from shared.lake.errors import TableMissing

THRESHOLD: Final = 0.2
"""Fall from which on it counts: a small effect by Cohen, from 80 % to 71 %."""
ERROR_RATE: Final = 0.01
"""Probability that the lower bound of the fall lies above the true one. It is looked at every hour."""
_LONGEST_LABEL_DELAY: Final = timedelta(days=120)
"""Chargebacks come within so long; older transactions are not searched for."""
_KEYS: Final = ["card_id", "transaction_id"]


@dataclass(frozen=True)
class Spans:
    """Which labels are compared, by when they arrived.

    Attributes:
        recent_ms: Length of the span that is judged.
        before_ms: Length of the span before it that it is judged by.
        least_frauds: Frauds in each span below which nothing is said.
    """

    recent_ms: int
    before_ms: int
    least_frauds: int

    @classmethod
    def of_days(cls, recent: float, before: float, least_frauds: int) -> Spans:
        """Return spans of so many days."""
        return cls(round(recent * DAY_MS), round(before * DAY_MS), least_frauds)


@dataclass(frozen=True)
class Frauds:
    """Frauds that became known.

    Attributes:
        alerted: Whether the champion reviewed, declined, or would have declined, [n].
        card: [n].
        weight: How many transactions a row stands for, [n].
    """

    alerted: npt.NDArray[np.bool_]
    card: npt.NDArray[Any]
    weight: Floats

    def __len__(self) -> int:
        return len(self.card)

    def draws(self, generator: np.random.Generator) -> tuple[Floats, Floats]:
        """Return the weight of missed and found frauds, [2], and that of each resample of cards, [draws, 2]."""
        groups = groups_of(self.card)
        cells = groups * 2 + self.alerted
        per_group = np.bincount(cells, weights=self.weight, minlength=GROUPS * 2).reshape(GROUPS, 2)
        return per_group.sum(axis=0), poisson_weights(generator, DRAWS, GROUPS) @ per_group


def compare_recall(lake: Decisions, model_version: str, end_ms: int, spans: Spans) -> Compared | None:
    """Compare the champion's recall on the labels of the last days with that on those before.

    Args:
        lake: Labels and decisions.
        model_version: The champion.
        end_ms: Labels that arrived later are invisible, UTC milliseconds.
        spans: What is compared with what.

    Returns:
        The fall of the recall as Cohen's h, 0 when it rose; None with too few frauds on either side.

    Raises:
        LakeAway: The storage does not answer.
    """
    start_ms = end_ms - spans.recent_ms
    before, recent = (
        read_frauds(lake, model_version, first, until)
        for first, until in ((start_ms - spans.before_ms, start_ms), (start_ms, end_ms))
    )
    if min(len(before), len(recent)) < spans.least_frauds:
        return None
    generator = np.random.default_rng(SEED)
    (there, there_drawn), (here, here_drawn) = (side.draws(generator) for side in (before, recent))
    estimate = Estimate.of(float(_fall(here, there)), _fall(here_drawn, there_drawn))
    # No bootstrap varies a count of none; the variance of 2 asin(sqrt(share)) is 1 / n at every share (Cohen).
    error = max(estimate.error, math.sqrt(1 / len(before) + 1 / len(recent)))
    fall = Estimate(max(estimate.value, 0.0), error)
    return Compared(
        name=RECALL,
        measure=Measure.SHARE,
        effect=fall.value,
        lower_bound=fall.lower(ERROR_RATE),
        threshold=THRESHOLD,
        reference_rows=len(before),
        rows=len(recent),
    )


def read_frauds(lake: Decisions, model_version: str, first_ms: int, until_ms: int) -> Frauds:
    """Read the frauds whose first label arrived after one moment and not after another.

    Where a share of the would-be declines is let through, those stand for all of them by the inverse of their chance
    (Horvitz and Thompson 1952), and declined ones are left out: their labels come from nowhere but an analyst.
    """
    first, until = (datetime.fromtimestamp(one / 1000, UTC) for one in (first_ms, until_ms))
    days = (first.date() - _LONGEST_LABEL_DELAY, until.date() + timedelta(days=1))
    arrived = (pc.field("label_time_ms") > first_ms) & (pc.field("label_time_ms") <= until_ms) & pc.field("is_fraud")
    try:
        labels = lake.dataset("labels", days).to_table(columns=_KEYS, filter=arrived).group_by(_KEYS).aggregate([])
        dataset = lake.dataset("decisions", days)
    except TableMissing:
        return Frauds(np.empty(0, bool), np.empty(0, object), np.empty(0))
    theirs = pc.field("transaction_id").isin(labels.column("transaction_id").combine_chunks())
    wanted = theirs & (pc.field("model_version") == model_version) & ~pc.field("degraded")
    columns = [name for name in (*_KEYS, "decision", "control", "propensity") if name in dataset.schema.names]
    decided = dataset.to_table(columns=columns, filter=wanted)
    return _frauds(decided.join(labels, _KEYS, join_type="inner"))


def _frauds(decided: pa.Table) -> Frauds:
    decision = decided.column("decision").to_numpy(zero_copy_only=False).astype(str)
    cards = decided.column("card_id").to_numpy(zero_copy_only=False).astype(str)
    control = np.zeros(len(decided), bool)
    if "control" in decided.column_names:
        control = decided.column("control").fill_null(False).to_numpy(zero_copy_only=False).astype(bool)
    alerted = control | (decision != "approve")
    if not control.any():
        return Frauds(alerted, cards, np.ones(len(decided)))
    chance = decided.column("propensity").to_numpy(zero_copy_only=False).astype(np.float64)
    weight = np.where(control, 1 / np.where(control, chance, 1.0), 1.0)
    kept = control | (decision != "decline")
    return Frauds(alerted[kept], cards[kept], weight[kept])


def _fall(here: Floats, there: Floats) -> Floats:
    """Return Cohen's h of the share found before, against the share found lately; half a fraud added to each cell."""
    shares = ((side[..., 1] + 0.5) / (side.sum(axis=-1) + 1) for side in (there, here))
    return np.asarray(cohens_h(*shares))
