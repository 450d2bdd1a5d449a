"""How good a model is on rows it never saw: figures with bootstrap intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from functions.train.dataset import Rows
from functions.train.resampling import card_weights
from shared.scoring.policy import Policy

Floats = npt.NDArray[np.float64]
INTERVAL = (0.025, 0.975)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Figures by name; of those with an interval also `<name>_lower` and `<name>_upper` (95 %, cards resampled)."""

    metrics: Mapping[str, float]

    @property
    def average_precision(self) -> float:
        """Average precision."""
        return self.metrics["average_precision"]


def evaluate(scores: Floats, rows: Rows, policy: Policy, *, seed: int) -> Evaluation:
    """Judge scores of rows by ranking, by calibration and at the policy's thresholds.

    `precision_<alert>` and `recall_<alert>` are taken at the threshold of `decline` (what is declined) and `review`
    (what is reviewed or declined); a threshold that is None has no such figures.

    Args:
        scores: Calibrated scores of n rows.
        rows: The rows.
        policy: Thresholds.
        seed: Of the resampling.
    """
    alerts = {
        name: scores >= threshold
        for name, threshold in (("decline", policy.decline_at), ("review", policy.review_at))
        if threshold is not None
    }
    metrics = {
        "average_precision": float(average_precision_score(rows.is_fraud, scores)),
        "roc_auc": float(roc_auc_score(rows.is_fraud, scores)),
        "brier": float(brier_score_loss(rows.is_fraud, scores)),
        "rows": float(len(rows)),
        "frauds": float(rows.is_fraud.sum()),
    }
    ranking = _Ranking(scores, rows.is_fraud)
    drawn: dict[str, list[float]] = {"average_precision": []}
    for weights in card_weights(rows.card, seed):
        drawn["average_precision"].append(ranking.average_precision(weights))
        for name, flagged in alerts.items():
            for figure, value in _at_threshold(flagged, rows.is_fraud, weights, name).items():
                drawn.setdefault(figure, []).append(value)
    for name, flagged in alerts.items():
        metrics |= _at_threshold(flagged, rows.is_fraud, np.ones(len(rows), np.int64), name)
        metrics[f"alert_share_{name}"] = float(flagged.mean())
        metrics |= _recall_by_pattern(flagged, rows, name)
    for figure, values in drawn.items():
        if finite := [value for value in values if np.isfinite(value)]:
            lower, upper = np.quantile(finite, INTERVAL)
            metrics |= {f"{figure}_lower": float(lower), f"{figure}_upper": float(upper)}
    return Evaluation({name: value for name, value in metrics.items() if np.isfinite(value)})


def _at_threshold(
    flagged: npt.NDArray[np.bool_], is_fraud: npt.NDArray[np.bool_], weights: npt.NDArray[np.int64], name: str
) -> dict[str, float]:
    caught = weights[flagged & is_fraud].sum()
    alerts = weights[flagged].sum()
    frauds = weights[is_fraud].sum()
    return {
        f"precision_{name}": float(caught / alerts) if alerts else np.nan,
        f"recall_{name}": float(caught / frauds) if frauds else np.nan,
    }


def _recall_by_pattern(flagged: npt.NDArray[np.bool_], rows: Rows, name: str) -> dict[str, float]:
    patterns = sorted({pattern for pattern in rows.pattern[rows.is_fraud] if pattern is not None})
    return {f"recall_{name}_{pattern}": float(flagged[rows.pattern == pattern].mean()) for pattern in patterns}


class _Ranking:
    """Average precision of one ranking under many weightings: sorted once, then two cumulative sums each."""

    def __init__(self, scores: Floats, is_fraud: npt.NDArray[np.bool_]) -> None:
        self._order = np.argsort(-scores, kind="stable")
        ranked = scores[self._order]
        self._is_fraud = is_fraud[self._order]
        self._last_of_tie = np.append(np.flatnonzero(ranked[:-1] > ranked[1:]), len(ranked) - 1)

    def average_precision(self, weights: npt.NDArray[np.int64]) -> float:
        """Return the sum over distinct scores of precision times gain in recall, NaN without fraud."""
        weighted = weights[self._order]
        caught = np.cumsum(weighted * self._is_fraud)[self._last_of_tie]
        taken = np.cumsum(weighted)[self._last_of_tie]
        if caught[-1] == 0:
            return float("nan")
        precision = caught / np.maximum(taken, 1)
        return float((np.diff(caught, prepend=0) * precision).sum() / caught[-1])
