"""The live stream: what reaches the outside when, as the documents of the contracts."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Self

import numpy as np

from shared.contracts.event_time import to_rfc3339
from shared.contracts.money import to_major_units
from shared.simulation.columns import Writer
from shared.simulation.config import Pattern, SimulationConfig
from shared.simulation.delivery import NEVER
from shared.simulation.noise import Ints
from shared.simulation.rows import Rows
from shared.simulation.traffic import Block, Traffic

LARGEST_BATCH = 256
_FOUND_BY_ANALYST = frozenset({Pattern.ACCOUNT_TAKEOVER, Pattern.COMPROMISED_MERCHANT})


class Kind(IntEnum):
    """What is delivered."""

    TRANSACTION = 0
    DUPLICATE = 1
    LABEL = 2


@dataclass(frozen=True, slots=True)
class Delivery:
    """One transaction or label at the moment it reaches the outside.

    Attributes:
        due_ms: The moment, in event time (UTC milliseconds); never before the event time of the transaction.
        kind: A transaction, the second delivery of one, or a label.
        document: JSON form of `contracts.transaction.Transaction` or `contracts.label.Label`.
        late: The transaction is delivered later than it happened.
        pattern: Pattern of the fraud, None for genuine transactions.
    """

    due_ms: int
    kind: Kind
    document: dict[str, Any]
    late: bool
    pattern: str | None


@dataclass(frozen=True, slots=True)
class _Queue:
    """Deliveries as columns: a fortnight of outstanding labels costs some 70 bytes each."""

    due_ms: Ints
    kind: Ints
    number: Ints
    rows: Rows

    def take(self, index: Any) -> Self:
        return type(self)(self.due_ms[index], self.kind[index], self.number[index], self.rows.take(index))

    def __len__(self) -> int:
        return len(self.due_ms)


class LiveStream:
    """Deliveries in order of their due time.

    Transactions are due at their event time; late ones, duplicates and labels after it. Everything is made block by
    block while it is read, in memory that follows the number of cards and of outstanding labels alone.
    """

    def __init__(self, config: SimulationConfig, transactions: int | None = None) -> None:
        """Prepare a stream.

        Args:
            config: The traffic.
            transactions: Number of distinct transactions after which the stream ends; None for an endless one. At the
                end, late transactions come at once; duplicates and labels that are due later never come.
        """
        self._traffic = Traffic(config)
        self._writer = Writer(self._traffic)
        self._transactions = transactions

    @property
    def cards(self) -> int:
        """Number of cards in the traffic."""
        return self._traffic.population.size

    def batches(self) -> Iterator[list[Delivery]]:
        """Yield the deliveries in order of their due time, a few hundred at a time."""
        waiting: _Queue | None = None
        for block in self._traffic.blocks():
            waiting = _joined(waiting, _deliveries(block, self._transactions))
            ends = self._transactions is not None and block.first + len(block.rows) >= self._transactions
            if ends:
                yield from self._last(waiting)
                return
            due = int(np.searchsorted(waiting.due_ms, block.end_ms))
            ready, waiting = waiting.take(slice(0, due)), waiting.take(slice(due, None))
            yield from self._written(ready)

    def _last(self, waiting: _Queue) -> Iterator[list[Delivery]]:
        """Yield what is due until the last event, then the late transactions, due at that last moment."""
        transactions = waiting.kind == Kind.TRANSACTION
        end_ms = int(waiting.rows.time_ms[waiting.number == (self._transactions or 0) - 1].max())
        kept = waiting.take(transactions | (waiting.due_ms <= end_ms))
        yield from self._written(_Queue(np.minimum(kept.due_ms, end_ms), kept.kind, kept.number, kept.rows))

    def _written(self, ready: _Queue) -> Iterator[list[Delivery]]:
        for begin in range(0, len(ready), LARGEST_BATCH):
            yield self._write(ready.take(slice(begin, begin + LARGEST_BATCH)))

    def _write(self, part: _Queue) -> list[Delivery]:
        columns = {name: column.tolist() for name, column in self._writer.columns(part.number, part.rows).items()}
        due, kinds = part.due_ms.tolist(), part.kind.tolist()
        late = (part.due_ms > part.rows.time_ms).tolist()
        deliveries = []
        for row, values in enumerate(zip(*columns.values(), strict=True)):
            fields = dict(zip(columns, values, strict=True))
            kind = Kind(kinds[row])
            document = label_document(fields, due[row]) if kind is Kind.LABEL else transaction_document(fields)
            deliveries.append(Delivery(due[row], kind, document, late[row], fields["pattern"]))
        return deliveries


def transaction_document(fields: dict[str, Any]) -> dict[str, Any]:
    """Return a transaction's JSON form from one row of `columns.Writer`; unknown fields are left out."""
    document = {
        "transaction_id": fields["transaction_id"],
        "card_id": fields["card_id"],
        "amount": to_major_units(fields["amount_minor"], fields["currency"]),
        "currency": fields["currency"],
        "merchant_id": fields["merchant_id"],
        "merchant_category": fields["merchant_category"],
        "country": fields["country"],
        "channel": fields["channel"],
        "timestamp": to_rfc3339(fields["event_time_ms"]),
    }
    if fields["city"] is not None:
        document |= {name: fields[name] for name in ("city", "latitude", "longitude")}
    return document


def label_document(fields: dict[str, Any], label_time_ms: int) -> dict[str, Any]:
    """Return a label's JSON form from one row of `columns.Writer`.

    Slow and widespread fraud is found by analysts; what a cardholder sees on the statement comes as a chargeback.
    """
    return {
        "transaction_id": fields["transaction_id"],
        "card_id": fields["card_id"],
        "merchant_id": fields["merchant_id"],
        "event_time": to_rfc3339(fields["event_time_ms"]),
        "is_fraud": fields["is_fraud"],
        "label_time": to_rfc3339(label_time_ms),
        "source": "analyst" if fields["pattern"] in _FOUND_BY_ANALYST else "chargeback",
        "pattern": fields["pattern"],
    }


def _deliveries(block: Block, limit: int | None) -> _Queue:
    wanted = slice(0, None if limit is None else limit - block.first)
    rows, plan = block.rows.take(wanted), block.plan.take(wanted)
    number = np.arange(block.first, block.first + len(rows))
    due = np.concatenate([plan.arrival_ms, plan.duplicate_ms, plan.label_ms])
    kind = np.repeat(np.array([Kind.TRANSACTION, Kind.DUPLICATE, Kind.LABEL], dtype=np.int64), len(rows))
    source = np.tile(np.arange(len(rows)), 3)
    planned = np.flatnonzero(due != NEVER)
    return _Queue(due[planned], kind[planned], number[source[planned]], rows.take(source[planned]))


def _joined(waiting: _Queue | None, new: _Queue) -> _Queue:
    if waiting is not None:
        new = _Queue(
            np.concatenate([waiting.due_ms, new.due_ms]),
            np.concatenate([waiting.kind, new.kind]),
            np.concatenate([waiting.number, new.number]),
            Rows.concat([waiting.rows, new.rows]),
        )
    return new.take(np.argsort(new.due_ms, kind="stable"))
