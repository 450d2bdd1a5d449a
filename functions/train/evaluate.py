"""How good a model is on rows it never saw: figures with bootstrap intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from functions.train.ranking import Ranking
from functions.train.resampling import card_weights
from functions.train.rows import DAY_MS, Bools, Floats, Rows
from shared.scoring.policy import Policy

INTERVAL = (0.025, 0.975)
TOP_CARDS = 100


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
    (what is reviewed or declined); a threshold that is None has no such figures. Every row counts by its weight.

    Args:
        scores: Calibrated scores of n rows.
        rows: The rows.
        policy: Thresholds.
        seed: Of the resampling.
    """
    alerts = alerts_of(scores, policy)
    weight = rows.weight
    metrics = {
        "average_precision": float(average_precision_score(rows.is_fraud, scores, sample_weight=weight)),
        "roc_auc": float(roc_auc_score(rows.is_fraud, scores, sample_weight=weight)),
        "brier": float(brier_score_loss(rows.is_fraud, scores, sample_weight=weight)),
        f"card_precision_{TOP_CARDS}": card_precision(scores, rows),
        "rows": float(len(rows)),
        "frauds": float(rows.frauds),
    }
    ranking = Ranking(scores, rows.is_fraud)
    drawn: dict[str, list[float]] = {"average_precision": []}
    for drawn_weights in card_weights(rows.card, seed):
        weights = drawn_weights * weight
        drawn["average_precision"].append(ranking.average_precision(weights))
        for name, flagged in alerts.items():
            for figure, value in _at_threshold(flagged, rows.is_fraud, weights, name).items():
                drawn.setdefault(figure, []).append(value)
    for name, flagged in alerts.items():
        metrics |= _at_threshold(flagged, rows.is_fraud, weight, name)
        metrics[f"alert_share_{name}"] = float(np.average(flagged, weights=weight))
        metrics[f"alerts_{name}"] = float(flagged.sum())
        metrics |= _recall_by_pattern(flagged, rows, name)
    for figure, values in drawn.items():
        if finite := [value for value in values if np.isfinite(value)]:
            lower, upper = np.quantile(finite, INTERVAL)
            metrics |= {f"{figure}_lower": float(lower), f"{figure}_upper": float(upper)}
    return Evaluation({name: value for name, value in metrics.items() if np.isfinite(value)})


def alerts_of(scores: Floats, policy: Policy) -> dict[str, Bools]:
    """Return which rows reach each threshold that there is."""
    named = {"decline": policy.decline_at, "review": policy.review_at}
    return {name: scores >= threshold for name, threshold in named.items() if threshold is not None}


def _at_threshold(flagged: Bools, is_fraud: Bools, weights: Floats, name: str) -> dict[str, float]:
    caught = weights[flagged & is_fraud].sum()
    alerts = weights[flagged].sum()
    frauds = weights[is_fraud].sum()
    return {
        f"precision_{name}": float(caught / alerts) if alerts else np.nan,
        f"recall_{name}": float(caught / frauds) if frauds else np.nan,
    }


def _recall_by_pattern(flagged: Bools, rows: Rows, name: str) -> dict[str, float]:
    patterns = sorted({pattern for pattern in rows.pattern[rows.is_fraud] if pattern is not None})
    return {
        f"recall_{name}_{pattern}": float(flagged[rows.is_fraud & (rows.pattern == pattern)].mean())
        for pattern in patterns
    }


def card_precision(scores: Floats, rows: Rows, top: int = TOP_CARDS) -> float:
    """Return the mean over days of the share of cards with fraud among those that score highest on the day.

    A card that was found with fraud is not looked at again (Le Borgne et al., Fraud Detection Handbook, "Precision
    top-k metrics").
    """
    day = rows.event_time_ms // DAY_MS
    found: set[int] = set()
    shares = []
    for today in np.unique(day):
        at = np.flatnonzero(day == today)
        at = at[~np.isin(rows.card[at], list(found))]
        if not len(at):
            continue
        ranked = at[np.argsort(-scores[at], kind="stable")]
        cards = rows.card[ranked][np.sort(np.unique(rows.card[ranked], return_index=True)[1])][:top]
        with_fraud = np.intersect1d(cards, rows.card[at[rows.is_fraud[at]]])
        shares.append(len(with_fraud) / min(top, len(cards)))
        found.update(with_fraud.tolist())
    return float(np.mean(shares)) if shares else float("nan")
