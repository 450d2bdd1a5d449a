"""Average precision under many weightings, and how much one ranking is better than another."""

from __future__ import annotations

import numpy as np

from functions.train.resampling import card_weights
from functions.train.rows import Bools, Floats, Rows


class Ranking:
    """Average precision of one ranking under many weightings: sorted once, then two cumulative sums each."""

    def __init__(self, scores: Floats, is_fraud: Bools) -> None:
        self._order = np.argsort(-scores, kind="stable")
        ranked = scores[self._order]
        self._is_fraud = is_fraud[self._order]
        self._last_of_tie = np.append(np.flatnonzero(ranked[:-1] > ranked[1:]), len(ranked) - 1)

    def average_precision(self, weights: Floats) -> float:
        """Return the sum over distinct scores of precision times gain in recall, NaN without fraud."""
        weighted = weights[self._order]
        caught = np.cumsum(weighted * self._is_fraud)[self._last_of_tie]
        taken = np.cumsum(weighted)[self._last_of_tie]
        if caught[-1] == 0:
            return float("nan")
        precision = np.divide(caught, taken, out=np.zeros(len(taken)), where=taken > 0)
        return float((np.diff(caught, prepend=0) * precision).sum() / caught[-1])


def paired_gain(scores: Floats, others: Floats, rows: Rows, *, seed: int) -> tuple[float, Floats]:
    """Return by how much the average precision of `scores` exceeds that of `others`, and its bootstrap draws.

    Both are ranked on the same rows and under the same weights in each draw; cards are resampled.
    """
    one, other = Ranking(scores, rows.is_fraud), Ranking(others, rows.is_fraud)

    def gain(weights: Floats) -> float:
        return one.average_precision(weights) - other.average_precision(weights)

    draws = np.array([gain(weights * rows.weight) for weights in card_weights(rows.card, seed)])
    return gain(rows.weight), draws[np.isfinite(draws)]
