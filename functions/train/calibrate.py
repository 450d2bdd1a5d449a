"""Calibration: from the trees' margins to probabilities of fraud, chosen between two methods."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from functions.train.rows import Bools, Floats, Ints
from shared.scoring.calibration import Calibration, Isotonic, Platt
from shared.scoring.predictor import SCORE_DECIMALS

Method = Literal["platt", "isotonic"]
FOLDS = 5
CERTAINTY = 1e-7
"""Probabilities are kept this far from 0 and 1 when losses are compared: a score has seven decimals."""


@dataclass(frozen=True, slots=True)
class ChosenCalibration:
    """A fitted calibration and why it was taken.

    Attributes:
        calibration: The map.
        losses: Log loss of each method on rows of the calibration period that it was not fitted on.
    """

    calibration: Calibration
    losses: dict[str, float]


def calibrated(calibration: Calibration, margins: Floats) -> Floats:
    """Return the scores of margins as the scorer makes them: by the same function, rounded to the same decimals."""
    scores = (round(calibration.probability(margin), SCORE_DECIMALS) for margin in margins.tolist())
    return np.fromiter(scores, np.float64, len(margins))


def choose_calibration(margins: Floats, is_fraud: Bools, card: Ints, weight: Floats, *, seed: int) -> ChosenCalibration:
    """Fit both methods and take the one with the lower log loss by cross-validation over cards.

    Args:
        margins: Log-odds of n rows that the trees have not seen.
        is_fraud: Their labels.
        card: Their cards, as numbers from 0 on; the rows of a card stay together.
        weight: How many transactions each row stands for.
        seed: Of the folds.
    """
    fold = np.random.default_rng(seed).integers(0, FOLDS, int(card.max()) + 1)[card]
    losses: dict[str, float] = {}
    for method, fit in _FITS.items():
        predicted = np.full(len(margins), np.nan)
        for number in range(FOLDS):
            held_out = fold == number
            if not held_out.any() or not 0 < is_fraud[~held_out].sum() < (~held_out).sum():
                continue
            fitted = fit(margins[~held_out], is_fraud[~held_out], weight[~held_out])
            predicted[held_out] = calibrated(fitted, margins[held_out])
        judged = ~np.isnan(predicted)
        clipped = np.clip(predicted[judged], CERTAINTY, 1 - CERTAINTY)
        losses[method] = float(log_loss(is_fraud[judged], clipped, sample_weight=weight[judged], labels=[False, True]))
    best = min(losses, key=losses.__getitem__)
    return ChosenCalibration(_FITS[best](margins, is_fraud, weight), losses)


def fit_platt(margins: Floats, is_fraud: Bools, weight: Floats) -> Calibration:
    """Fit a logistic curve over the margin (Platt 1999)."""
    fitted = LogisticRegression(C=np.inf).fit(margins.reshape(-1, 1), is_fraud, sample_weight=weight)
    slope = float(fitted.coef_[0, 0])
    # A model whose margins say nothing, or the opposite, has no rising curve; its gates will say so.
    return Platt(max(slope, CERTAINTY), float(fitted.intercept_[0]))


def fit_isotonic(margins: Floats, is_fraud: Bools, weight: Floats) -> Calibration:
    """Fit a rising line through the means of the blocks that pool-adjacent-violators finds.

    Going through the blocks' middles instead of in steps keeps the order of the scores: two margins share a score only
    where the line is flat.
    """
    raw = 1 / (1 + np.exp(-margins))
    steps = IsotonicRegression(y_min=0, y_max=1).fit_transform(raw, is_fraud, sample_weight=weight)
    block = np.unique(steps, return_inverse=True)[1]
    mass = np.bincount(block, weight)
    x = np.bincount(block, weight * raw) / mass
    # Half a fraud where there is none, half a genuine row where there is none: no count proves a probability of 0 or 1.
    y = np.clip(np.bincount(block, weight * is_fraud) / mass, 0.5 / mass.sum(), 1 - 0.5 / (mass[-1] + 1))
    ends_x, ends_y = np.concatenate([[0.0], x, [1.0]]), np.concatenate([[0.0], y, [1.0]])
    rising = np.concatenate([[True], np.diff(ends_x) > 0])
    return Isotonic(tuple(ends_x[rising].tolist()), tuple(np.maximum.accumulate(ends_y[rising]).tolist()))


_FITS = {"platt": fit_platt, "isotonic": fit_isotonic}
