"""The decision policy: declining by precision, reviewing by budget, both chosen on rows of their own."""

from __future__ import annotations

import numpy as np

from functions.train.resampling import DRAWS, card_weights
from functions.train.rows import Bools, Floats, Ints
from shared.scoring.policy import Policy
from shared.scoring.predictor import SCORE_DECIMALS

LEAST_ALERTS = 30
"""Fewer declined rows than this prove no precision: 30 without a false one leave a 95 % lower bound of 0.90 (rule of
three), which resampling them cannot see."""
CONFIDENCE = 0.95
THRESHOLD_DECIMALS = 6


def choose_policy(
    scores: Floats,
    is_fraud: Bools,
    card: Ints,
    weight: Floats,
    *,
    least_precision: float,
    alert_budget: float,
    seed: int,
) -> Policy:
    """Choose both thresholds.

    Declining takes the lowest threshold whose precision is at least `least_precision` by the lower bound of a
    one-sided 95 % bootstrap interval (cards are resampled, since frauds of one card are not independent); when there
    is none, nothing is declined. Reviewing takes the highest scores up to the alert budget, declined ones included.

    Args:
        scores: Calibrated scores of n rows.
        is_fraud: Their labels.
        card: Their cards, as numbers from 0 on.
        weight: How many transactions each row stands for.
        least_precision: Between 0 and 1.
        alert_budget: Share of the rows that may be reviewed or declined.
        seed: Of the resampling.
    """
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    decline_at = _decline_at(ranked, is_fraud[order], card[order], weight[order], least_precision, seed)
    taken = np.cumsum(weight[order])
    affordable = int(np.searchsorted(taken, alert_budget * taken[-1], side="right"))
    review_at = _between(ranked, min(len(ranked), affordable) - 1)
    if decline_at is not None:
        review_at = min(review_at, decline_at)
    return Policy(decline_at, review_at)


def _decline_at(
    ranked: Floats, is_fraud: Bools, card: Ints, weight: Floats, least_precision: float, seed: int
) -> float | None:
    precision = np.cumsum(weight * is_fraud) / np.cumsum(weight)
    # Where the plain precision falls short for good no lower bound can suffice: bootstrap only the rows before.
    enough = np.flatnonzero(precision >= least_precision)
    if not len(enough):
        return None
    top = int(enough[-1]) + 1
    hits = np.zeros(top)
    for drawn in card_weights(card[:top], seed):
        weights = drawn * weight[:top]
        caught = np.cumsum(weights * is_fraud[:top])
        taken = np.cumsum(weights)
        hits += caught >= least_precision * taken
    ends_a_tie = np.append(ranked[: top - 1] > ranked[1:top], top == len(ranked) or ranked[top - 1] > ranked[top])
    proven = (hits / DRAWS >= CONFIDENCE) & ends_a_tie & (np.arange(1, top + 1) >= LEAST_ALERTS)
    if not proven.any():
        return None
    return _between(ranked, int(np.flatnonzero(proven)[-1]))


def _between(ranked: Floats, last: int) -> float:
    """Return a threshold that takes rows up to `last` and, ties aside, none below; a round one where there is room."""
    last = max(last, 0)
    upper = float(ranked[last])
    lower = float(ranked[last + 1]) if last + 1 < len(ranked) else 0.0
    rounded = round((upper + lower) / 2, THRESHOLD_DECIMALS)
    # Scores have more decimals than that: between two that lie close there may be no round number.
    threshold = rounded if lower < rounded <= upper else upper
    return max(threshold, 10.0**-SCORE_DECIMALS)
