"""Transactions of test streams as the events that a topic holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import orjson
from pydantic import ValidationError

from shared.contracts import cloudevents, money
from shared.contracts.cloudevents import Event
from shared.contracts.event_time import now_milliseconds, to_rfc3339
from shared.contracts.transaction import Transaction
from tests.support.features.oracle import DAY, Tx


def event_of(tx: Tx) -> Event:
    """The event of a transaction."""
    document = {
        "transaction_id": tx.transaction_id,
        "card_id": tx.card_id,
        "amount": money.to_major_units(tx.amount_minor, "EUR"),
        "currency": "EUR",
        "merchant_id": tx.merchant_id,
        "timestamp": to_rfc3339(tx.event_time_ms),
    }
    for name in ("merchant_category", "city", "country", "latitude", "longitude", "channel"):
        value = getattr(tx, name)
        if value not in {None, ""}:
            document[name] = value
    return Event(
        id=tx.transaction_id,
        source="/test",
        type=cloudevents.TRANSACTION,
        data=orjson.dumps(document),
        subject=tx.transaction_id,
        partition_key=tx.card_id,
    )


def in_the_past(stream: Sequence[Tx]) -> list[Tx]:
    """The stream moved back by whole weeks, so that none of it lies in the future: days and their edges stay."""
    ahead = max(tx.event_time_ms for tx in stream) - now_milliseconds()
    weeks = max(0, -(-ahead // (7 * DAY)))
    return [replace(tx, event_time_ms=tx.event_time_ms - weeks * 7 * DAY) for tx in stream]


def of_the_contract(stream: Sequence[Tx]) -> list[Tx]:
    """The transactions that an event can carry: texts no longer than the contract's, and no card numbers in them."""
    return [tx for tx in stream if _is_valid(tx)]


def _is_valid(tx: Tx) -> bool:
    try:
        Transaction.from_event(event_of(tx).data)
    except ValidationError:
        return False
    return True
