"""Realistic transactions to send, from the traffic simulation."""

from __future__ import annotations

import math
from typing import Any

from shared.contracts.event_time import to_rfc3339
from shared.contracts.money import to_major_units
from shared.contracts.transaction import Transaction
from shared.simulation.history import generate_history

_START_MS = 1_735_689_600_000  # 2025-01-01; the event time is replaced while sending
_DAYS = 2.0


def simulated_transactions(count: int, seed: int) -> list[Transaction]:
    """Return `count` distinct transactions of many cards, in the order of the simulated days.

    Args:
        count: How many; about a third as many cards as transactions per day take part.
        seed: The same seed gives the same transactions.
    """
    columns = generate_history(transactions=count, days=_DAYS, start_ms=_START_MS, seed=seed)
    names = ("transaction_id", "card_id", "currency", "merchant_id", "merchant_category", "city", "country", "channel")
    texts = [columns[name].tolist() for name in names]
    numbers = [columns[name].tolist() for name in ("amount_minor", "event_time_ms", "latitude", "longitude")]
    return [
        _transaction(dict(zip(names, text, strict=True)), *number)
        for text, number in zip(zip(*texts, strict=True), zip(*numbers, strict=True), strict=True)
    ]


def _transaction(
    fields: dict[str, Any], minor: int, milliseconds: int, latitude: float, longitude: float
) -> Transaction:
    located = not (math.isnan(latitude) or math.isnan(longitude))
    return Transaction.model_validate(
        fields
        | {
            "amount": to_major_units(minor, fields["currency"]),
            "latitude": latitude if located else None,
            "longitude": longitude if located else None,
            "timestamp": to_rfc3339(milliseconds),
        }
    )
