"""Decision events as the scorer writes them."""

from __future__ import annotations

from typing import Any

import orjson

from shared.contracts import cloudevents
from shared.contracts.cloudevents import Event
from shared.contracts.decision import decision_id
from shared.features.catalogue import CATALOGUE
from tests.support.transactions import wire

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def features(**values: float | None) -> dict[str, float | None]:
    """A complete vector by name, 0 where nothing is given."""
    return {**dict.fromkeys(CATALOGUE.names, 0), **values}


def document(
    number: int = 0, *, model: str = "1", values: dict[str, float | None] | None = None, **changes: Any
) -> Any:
    """Data of a decision event."""
    transaction = wire(transaction_id=f"tx-{number}")
    return {
        "transaction_id": f"tx-{number}",
        "decision": "approve",
        "score": 0.02,
        "reasons": [],
        "model_version": model,
        "policy_version": "policy",
        "as_of": transaction["timestamp"],
        "degraded": False,
        "decision_id": decision_id(1_768_480_245_250, f"tx-{number}", model, "policy"),
        "transaction": transaction,
        "features": values if values is not None else features(),
        "feature_status": "new",
        "catalogue_version": CATALOGUE.version,
        "decided_at": "2026-01-15T12:30:45.260Z",
        **changes,
    }


def decision_event(number: int = 0, **changes: Any) -> Event:
    """A decision event."""
    data = document(number, **changes)
    return Event(
        id=data["decision_id"],
        source="/fraud/scorer",
        type=cloudevents.DECISION,
        data=orjson.dumps(data),
        subject=data["transaction_id"],
        time=data["as_of"],
        partition_key="card-1",
        traceparent=TRACEPARENT,
    )
