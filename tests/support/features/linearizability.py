"""Whether concurrent answers of one card can be put in one order that the oracle agrees with.

Features of the merchant are left out: the merchant is told after the card, in a step of its own.

The search of Wing and Gong ("Testing and Verifying Concurrent Objects", 1993): an operation may come next when no
operation that is still to come had ended before it began. States met before are not searched again (Lowe, 2017).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shared.features.catalogue import CATALOGUE, Entity
from tests.support.features.checking import Answer, same
from tests.support.features.oracle import Card, Oracle, Tx

_OF_THE_CARD = [feature.name for feature in CATALOGUE if feature.entity is not Entity.MERCHANT]


@dataclass(frozen=True)
class Operation:
    """A transaction recorded, and when: both ends of the call on one clock of the machine.

    Attributes:
        answer: Status and values read; no values of a call that only records.
    """

    client: str
    tx: Tx
    begin_ns: int
    end_ns: int
    answer: Answer | tuple[str, None]

    def overlaps(self, other: Operation) -> bool:
        """Whether the two were under way at one moment."""
        return self.begin_ns < other.end_ns and other.begin_ns < self.end_ns


def linearized(operations: Sequence[Operation]) -> list[Operation] | None:
    """An order, consistent with real time, in which the oracle gives every answer; None when there is none.

    Args:
        operations: All calls of one card, from its first on.
    """
    by_begin = sorted(operations, key=lambda operation: operation.begin_ns)
    path: list[int] = []
    failed: set[tuple[frozenset[int], tuple[Tx, ...]]] = set()

    def search(known: tuple[Tx, ...]) -> bool:
        if len(path) == len(by_begin):
            return True
        state = frozenset(path), known
        if state in failed:
            return False
        left = [number for number in range(len(by_begin)) if number not in state[0]]
        first_end = min(by_begin[number].end_ns for number in left)
        for number in left:
            operation = by_begin[number]
            if operation.begin_ns > first_end:
                break
            after = _applied(known, operation)
            if after is None:
                continue
            path.append(number)
            if search(after):
                return True
            path.pop()
        failed.add(state)
        return False

    return [by_begin[number] for number in path] if search(()) else None


def _applied(known: tuple[Tx, ...], operation: Operation) -> tuple[Tx, ...] | None:
    """What is known of the card after an operation; None when the oracle answers it otherwise."""
    oracle = Oracle()
    card = oracle.cards[operation.tx.card_id] = Card(list(known))
    status, values = oracle.record_and_read(operation.tx)
    got_status, got = operation.answer
    right = status == got_status and (
        got is None or (values.keys() == got.keys() and all(same(got[n], values[n]) for n in _OF_THE_CARD))
    )
    return tuple(card.known) if right else None
