"""Transactions as callers write them."""

from __future__ import annotations

from typing import Any

import orjson

from shared.contracts.transaction import Transaction

CARD_NUMBER = "4111111111111111"
"""The best-known test number: passes Luhn, belongs to nobody."""


def wire(**changes: Any) -> dict[str, Any]:
    """A valid request document; a change to None leaves the field out."""
    document = {
        "transaction_id": "tx-1",
        "card_id": "card-1",
        "amount": "49.90",
        "currency": "EUR",
        "merchant_id": "m-1",
        "merchant_category": "electronics",
        "city": "Lisbon",
        "country": "PT",
        "latitude": 38.7223,
        "longitude": -9.1393,
        "channel": "ecommerce",
        "timestamp": "2026-01-15T12:30:45.250Z",
        **changes,
    }
    return {name: value for name, value in document.items() if value is not None}


def body(**changes: Any) -> bytes:
    """The same as the bytes of a request."""
    return orjson.dumps(wire(**changes))


def transaction(**changes: Any) -> Transaction:
    """The same, read."""
    return Transaction.from_wire(body(**changes))
