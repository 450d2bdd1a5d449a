"""The gates: what a model must prove on the test rows before it may follow the champion's decisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from functions.train.evaluate import INTERVAL, Evaluation
from functions.train.ranking import paired_gain
from functions.train.rows import Floats, Rows
from functions.train.settings import TrainSettings
from functions.train.thresholds import LEAST_ALERTS


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate and how a model did.

    Attributes:
        name: Of the gate.
        passed: Whether the model may go on.
        value: What was measured: the lower bound of a 95 % bootstrap interval, or a count.
        bound: What is asked for.
        message: The outcome as a sentence.
    """

    name: str
    passed: bool
    value: float
    bound: float
    message: str


def check_gates(
    evaluation: Evaluation,
    scores: Floats,
    rows: Rows,
    *,
    champion_scores: Floats | None,
    parity_mismatches: int,
    settings: TrainSettings,
    seed: int,
) -> tuple[Gate, ...]:
    """Return all gates of a model.

    Args:
        evaluation: Its figures on the test rows.
        scores: Its scores of the test rows.
        rows: The test rows.
        champion_scores: The champion's scores of the same rows; without a champion there is no such gate.
        parity_mismatches: Feature values in the dataset that the history engine contradicts.
        settings: What is asked for.
        seed: Of the resampling.
    """
    gates = [
        _at_threshold("precision", evaluation, settings.fraud_least_precision),
        _at_threshold("recall", evaluation, settings.fraud_least_recall),
        Gate(
            "parity",
            parity_mismatches == 0,
            float(parity_mismatches),
            0.0,
            f"{parity_mismatches} feature values differ from what was known at the time, by the history engine",
        ),
    ]
    if champion_scores is not None:
        gates.append(_no_worse(scores, champion_scores, rows, settings.fraud_champion_tolerance, seed))
    return tuple(gates)


def failed(gates: Sequence[Gate]) -> str:
    """Return why a model is refused, gate by gate; empty when it is not."""
    return "; ".join(f"{gate.name} gate: {gate.message}" for gate in gates if not gate.passed)


def _at_threshold(figure: str, evaluation: Evaluation, least: float) -> Gate:
    metrics = evaluation.metrics
    alerts = int(metrics.get("alerts_decline", 0))
    lower = metrics.get(f"{figure}_decline_lower")
    if lower is None:
        return Gate(figure, passed=False, value=0.0, bound=least, message="no score is certain enough to decline on")
    if alerts < LEAST_ALERTS:
        message = f"{alerts} declined test rows prove nothing, {LEAST_ALERTS} would"
        return Gate(figure, passed=False, value=lower, bound=least, message=message)
    message = f"{metrics[f'{figure}_decline']:.4f}, at least {lower:.4f} by the bootstrap; {least:g} is asked for"
    if lower < least:
        message += f", {least - lower:.4f} more"
    return Gate(figure, lower >= least, lower, least, message)


def _no_worse(scores: Floats, champion_scores: Floats, rows: Rows, tolerance: float, seed: int) -> Gate:
    gain, draws = paired_gain(scores, champion_scores, rows, seed=seed)
    lower, upper = np.quantile(draws, INTERVAL).tolist()
    message = (
        f"average precision {gain:+.4f} against the champion on the same rows, {lower:+.4f} to {upper:+.4f} by the "
        f"bootstrap; {-tolerance:+g} is allowed"
    )
    if lower < -tolerance:
        message += f", {-tolerance - lower:.4f} too low"
    return Gate("champion", lower >= -tolerance, lower, -tolerance, message)
