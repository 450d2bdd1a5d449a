"""Curves of a model on its test rows, as figures for the experiment tracker."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import xgboost
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.calibration import calibration_curve
from sklearn.metrics import precision_recall_curve, roc_curve

from shared.scoring.policy import Policy

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.bool_]
CALIBRATION_BINS = 10
SCORE_BINS = 50


def draw(booster: xgboost.Booster, scores: Floats, is_fraud: Labels, policy: Policy) -> dict[str, Figure]:
    """Return the pictures by file name."""
    return {
        "precision_recall.png": _precision_recall(scores, is_fraud, policy),
        "roc.png": _roc(scores, is_fraud),
        "calibration.png": _calibration(scores, is_fraud),
        "scores.png": _scores(scores, is_fraud, policy),
        "importances.png": _importances(booster),
    }


def _axes(title: str, x: str, y: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot()
    axes.set(title=title, xlabel=x, ylabel=y)
    axes.grid(visible=True, alpha=0.3)
    return figure, axes


def _precision_recall(scores: Floats, is_fraud: Labels, policy: Policy) -> Figure:
    figure, axes = _axes("Precision and recall on test rows", "recall", "precision")
    precision, recall, _ = precision_recall_curve(is_fraud, scores)
    axes.step(recall, precision, where="post")
    for name, threshold in (("review", policy.review_at), ("decline", policy.decline_at)):
        if threshold is not None and (scores >= threshold).any():
            flagged = scores >= threshold
            point = (is_fraud[flagged].sum() / is_fraud.sum(), is_fraud[flagged].mean())
            axes.plot(*point, "o", label=f"{name} at {threshold:.4f}")
    axes.set(xlim=(0, 1), ylim=(0, 1.02))
    axes.legend(loc="lower left")
    return figure


def _roc(scores: Floats, is_fraud: Labels) -> Figure:
    figure, axes = _axes("ROC on test rows", "false positive rate", "true positive rate")
    false_positive, true_positive, _ = roc_curve(is_fraud, scores)
    axes.plot(false_positive, true_positive)
    axes.plot([0, 1], [0, 1], "--", linewidth=1)
    return figure


def _calibration(scores: Floats, is_fraud: Labels) -> Figure:
    figure, axes = _axes("Calibration on test rows", "score", "share of fraud")
    observed, predicted = calibration_curve(is_fraud, scores, n_bins=CALIBRATION_BINS, strategy="uniform")
    axes.plot([0, 1], [0, 1], "--", linewidth=1)
    axes.plot(predicted, observed, "o-")
    return figure


def _scores(scores: Floats, is_fraud: Labels, policy: Policy) -> Figure:
    figure, axes = _axes("Scores of test rows", "score", "transactions")
    edges = np.linspace(0, 1, SCORE_BINS + 1).tolist()
    axes.hist([scores[~is_fraud], scores[is_fraud]], bins=edges, stacked=True, label=["genuine", "fraud"])
    for threshold in (policy.review_at, policy.decline_at):
        if threshold is not None:
            axes.axvline(threshold, linestyle="--", linewidth=1, color="black")
    axes.set_yscale("log")
    axes.legend()
    return figure


def _importances(booster: xgboost.Booster) -> Figure:
    gains = {name: float(np.sum(gain)) for name, gain in booster.get_score(importance_type="total_gain").items()}
    figure, axes = _axes("Total gain by feature", "share of the total gain", "")
    total = sum(gains.values()) or 1.0
    ranked = sorted(gains.items(), key=lambda item: item[1])
    axes.barh([name for name, _ in ranked], [gain / total for _, gain in ranked])
    return figure
