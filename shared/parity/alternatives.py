"""The histories that a decision may have been made from."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from shared.parity.known import Arrival, Content

MOST_UNCERTAIN: Final = 6
"""Arrivals that are tried as known and as not known; of more, those nearest to the decision."""


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision to check.

    Attributes:
        decision_id: Its id.
        content: Its transaction.
        status: How the store took the transaction.
        moment: When it was made, UTC microseconds, and its offset.
        vector: The logged features by name.
    """

    decision_id: str
    content: Content
    status: str
    moment: tuple[int, int]
    vector: dict[str, Any]

    @property
    def card_id(self) -> str:
        """The card."""
        return str(self.content[1])

    @property
    def transaction_id(self) -> str:
        """The transaction."""
        return str(self.content[0])


def best(decided: Decided, known: Sequence[Arrival]) -> list[Content]:
    """The most likely history: what had arrived by the guesses, then the transaction itself."""
    before = [one.content for one in _others(decided, known) if one.guess < decided.moment]
    return _with_own(decided, known, before)


def others_than_best(decided: Decided, known: Sequence[Arrival]) -> tuple[Iterator[list[Content]], bool]:
    """All other histories that the bounds of the arrivals allow, and whether these are really all."""
    moment = decided.moment[0]
    candidates = list(_others(decided, known))
    open_ = [one for one in candidates if one.earliest <= moment <= one.latest]
    nearest = sorted(open_, key=lambda one: abs(one.guess[0] - moment))[:MOST_UNCERTAIN]
    tried = {id(one) for one in nearest}

    def histories() -> Iterator[list[Content]]:
        for chosen in itertools.product((True, False), repeat=len(nearest)):
            included = {id(one) for one, taken in zip(nearest, chosen, strict=True) if taken}
            before = [
                one.content
                for one in candidates
                if id(one) in included or (id(one) not in tried and one.guess < decided.moment)
            ]
            yield _with_own(decided, known, before)

    return histories(), len(open_) <= MOST_UNCERTAIN


def _others(decided: Decided, known: Sequence[Arrival]) -> Iterator[Arrival]:
    return (one for one in known if one.transaction_id != decided.transaction_id)


def _with_own(decided: Decided, known: Sequence[Arrival], before: list[Content]) -> list[Content]:
    if decided.status in ("seen", "conflict"):
        # Its first version was there already: with other content if there was a conflict.
        versions = [one for one in known if one.transaction_id == decided.transaction_id]
        firsts = [one for one in versions if (one.content == decided.content) == (decided.status == "seen")]
        first = firsts[0].content if firsts else decided.content
        return [*before, first, decided.content]
    return [*before, decided.content]
