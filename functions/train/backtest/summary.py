"""A backtest as one JSON document, and as a few lines."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from functions.train.backtest.figures import major
from functions.train.backtest.run import Backtest
from functions.train.evaluate import TOP_CARDS
from functions.train.rows import Rows
from shared.contracts.event_time import to_rfc3339


def document(outcome: Backtest) -> dict[str, Any]:
    """Return everything as JSON values; money in minor units."""
    candidate, dataset = outcome.candidate, outcome.dataset
    policy = candidate.main.policy
    return {
        "source": dataset.source,
        "digest": dataset.digest,
        "periods": {name: _period(rows) for name, rows in dataset.parts()},
        "features": list(dataset.names),
        "dropped_features": {name: list(fields) for name, fields in outcome.dropped.items()},
        "metrics": dict(candidate.main.evaluation.metrics),
        "policy": {"decline_at": policy.decline_at, "review_at": policy.review_at, "version": policy.version},
        "calibration": candidate.main.calibration.calibration.describe()["method"],
        "gates": [asdict(gate) for gate in candidate.gates],
        "currency": outcome.currency,
        "money": asdict(outcome.money),
        "days": [asdict(day) for day in outcome.days],
        "worst_misses": [{**asdict(miss), "id": outcome.transaction_ids[miss.row]} for miss in outcome.misses],
        "registered": None if outcome.registered is None else outcome.registered.model_dump(),
        "not_registered": outcome.not_registered or None,
    }


def _period(rows: Rows) -> dict[str, Any]:
    return {
        "first": to_rfc3339(int(rows.event_time_ms[0])),
        "last": to_rfc3339(int(rows.event_time_ms[-1])),
        "transactions": len(rows),
        "frauds": rows.frauds,
    }


def lines(outcome: Backtest) -> list[str]:
    """Return what a person wants to know first."""
    metrics = outcome.candidate.main.evaluation.metrics
    told = [
        outcome.dataset.source,
        (
            f"average precision {figure(metrics, 'average_precision')}, AUC {metrics['roc_auc']:.4f}, "
            f"card precision@{TOP_CARDS} {metrics[f'card_precision_{TOP_CARDS}']:.3f}"
        ),
    ]
    for alert, what in (("decline", "declined"), ("review", "declined or reviewed")):
        if f"precision_{alert}" in metrics:
            precision, recall = figure(metrics, f"precision_{alert}"), figure(metrics, f"recall_{alert}")
            share = metrics[f"alert_share_{alert}"]
            told.append(f"{what}: {share:.2%} of transactions, precision {precision}, recall {recall}")
    amounts = outcome.money
    told.append(
        f"of {major(amounts.fraud, outcome.currency)} fraud: "
        f"{major(amounts.declined_fraud, outcome.currency)} declined, "
        f"{major(amounts.reviewed_fraud, outcome.currency)} reviewed, "
        f"{major(amounts.missed_fraud, outcome.currency)} missed; "
        f"{major(amounts.declined_genuine, outcome.currency)} of genuine transactions declined"
    )
    told += [
        f"{gate.name} gate {'passed' if gate.passed else 'FAILED'}: {gate.message}" for gate in outcome.candidate.gates
    ]
    if outcome.dropped:
        fields = sorted({field for fields in outcome.dropped.values() for field in fields})
        told.append(f"without {', '.join(fields)}: {', '.join(outcome.dropped)} left out")
    told.append(
        f"the model is not in a registry: {outcome.not_registered}"
        if outcome.registered is None
        else f"registered as version {outcome.registered.version}, alias {outcome.registered.alias}"
    )
    return told


def figure(metrics: Any, name: str) -> str:
    """Return a figure with its interval, as far as there is one."""
    if f"{name}_lower" not in metrics:
        return f"{metrics[name]:.4f}"
    return f"{metrics[name]:.4f} ({metrics[f'{name}_lower']:.4f} to {metrics[f'{name}_upper']:.4f})"
