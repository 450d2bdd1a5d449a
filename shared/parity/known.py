"""What a card's feature store knew when it answered, as far as the lake can tell.

The store records a transaction when the scorer asks about it, or when the updater applies it from the topic, whichever
comes first; neither leaves its order in the lake. What the lake has: of a decision its moment and whether the
transaction was recorded by it ("new") or before it ("seen", "conflict") or not at all ("unread"); of a transaction on
the topic the moment it was published. Hence each version of a transaction has a best guess of its arrival, and bounds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from shared.lake.schema import ARRIVAL, EVENT_TIME, TRANSACTION_FIELDS

SLACK_US: Final = 1_000_000
"""Between the store's step and the decision's time stamp lie a prediction and, of two replicas, two clocks."""
UPDATER_LAG_US: Final = 600_000_000
"""Longest time from the publishing of a transaction until the updater has applied it."""

CONTENT: Final = tuple(name for name in (*TRANSACTION_FIELDS, EVENT_TIME) if name != "currency")
"""Columns of a transaction that features look at."""
Content = tuple[Any, ...]
UNREAD: Final = "unread"


@dataclass(frozen=True, slots=True)
class Arrival:
    """One version of a transaction as a card's store came to know it; times in UTC microseconds.

    Attributes:
        content: Values of `CONTENT`.
        guess: When it became known, by best knowledge, and the offset that orders ties.
        earliest: It was not known before.
        latest: It was known from then on.
    """

    content: Content
    guess: tuple[int, int]
    earliest: int
    latest: int

    @property
    def transaction_id(self) -> str:
        """Its id."""
        return str(self.content[0])


@dataclass(slots=True)
class _Evidence:
    published: int | None = None  # on the topic of transactions
    decided: tuple[int, int] | None = None
    recorded_by_decision: bool = False
    offset: int = 0


def arrivals(
    transactions: Iterable[Mapping[str, Any]], decisions: Iterable[Mapping[str, Any]]
) -> dict[str, list[Arrival]]:
    """Arrivals by card, in the order of their guesses.

    Args:
        transactions: Rows of the lake's table, with `CONTENT`, `arrival` and `kafka_offset`.
        decisions: As above, with `feature_status`.
    """
    evidence: dict[Content, _Evidence] = defaultdict(_Evidence)
    for row in transactions:
        found = evidence[content_of(row)]
        if found.published is None or row[ARRIVAL] < found.published:
            found.published, found.offset = row[ARRIVAL], row["kafka_offset"]
    for row in decisions:
        if row["feature_status"] == UNREAD:
            # The store may have done its step after the scorer had stopped waiting; else the updater did it later.
            found = evidence[content_of(row)]
            found.published = row[ARRIVAL] if found.published is None else min(found.published, row[ARRIVAL])
            continue
        found = evidence[content_of(row)]
        moment = (row[ARRIVAL], row["kafka_offset"])
        if row["feature_status"] == "new":
            found.decided, found.recorded_by_decision = moment, True
        elif not found.recorded_by_decision and (found.decided is None or moment < found.decided):
            found.decided = moment
    cards: dict[str, list[Arrival]] = defaultdict(list)
    for content, one in evidence.items():
        cards[content[1]].append(_arrival(content, one))
    for known in cards.values():
        known.sort(key=lambda arrival: arrival.guess)
    return cards


def content_of(row: Mapping[str, Any]) -> Content:
    """What features look at of a row's transaction."""
    return tuple(row[name] for name in CONTENT)


def _arrival(content: Content, evidence: _Evidence) -> Arrival:
    published, decided = evidence.published, evidence.decided
    if decided is not None and (evidence.recorded_by_decision or published is None):
        earliest = decided[0] - (SLACK_US if evidence.recorded_by_decision else UPDATER_LAG_US)
        return Arrival(content, decided, earliest, decided[0] + SLACK_US)
    assert published is not None  # noqa: S101 - there is one or the other
    if decided is not None:  # seen by a decision: recorded at some time between
        return Arrival(content, min((published, evidence.offset), decided), published - SLACK_US, decided[0] + SLACK_US)
    return Arrival(content, (published, evidence.offset), published - SLACK_US, published + UPDATER_LAG_US)
