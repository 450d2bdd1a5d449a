"""Average precision under weights, as often as a bootstrap asks for it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


class RankedScores:
    """Scores put into order once; their average precision under any weights takes one pass.

    Average precision is the sum over the thresholds of (recall - recall before) precision, with equal scores at one
    threshold. Source: scikit-learn's `average_precision_score`, which gives the same values.

    Args:
        scores: [n].
        is_fraud: [n].
    """

    def __init__(self, scores: Floats, is_fraud: npt.NDArray[np.bool_]) -> None:
        self._order = np.argsort(-scores, kind="stable")
        ordered = scores[self._order]
        self._fraud = is_fraud[self._order]
        self._ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))

    def average_precision(self, weights: Floats) -> float:
        """Return the average precision under row weights [n]; NaN when no fraud has any weight."""
        ordered = weights[self._order]
        alerts = np.cumsum(ordered)[self._ends]
        found = np.cumsum(np.where(self._fraud, ordered, 0.0))[self._ends]
        if found[-1] <= 0:
            return float("nan")
        precision = np.divide(found, alerts, out=np.zeros_like(found), where=alerts > 0)
        return float((np.diff(found, prepend=0.0) * precision).sum() / found[-1])
