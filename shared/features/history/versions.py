"""Which version of an id counts, for cards that forget: one transaction after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from shared.features.definition import DAY_MS, RETENTION_MS

Arrival = tuple[int, int, str, int]
"""Row, number of the card, transaction id, event time in milliseconds."""


def first_versions(arrivals: Iterable[Arrival]) -> Iterator[tuple[int, int]]:
    """For each row the row whose version of its id counts: itself, or an earlier one its card still remembers.

    An id may come back after its first version has left the card's memory; then it is recorded anew, and that may age
    the card further, so the rows cannot be judged independently.

    Args:
        arrivals: Ordered by card and, within a card, by arrival.
    """
    card: int | None = None
    newest = 0
    recorded: dict[str, tuple[int, int]] = {}
    for row, of_card, transaction_id, event_time_ms in arrivals:
        if of_card != card:
            card, newest, recorded = of_card, event_time_ms, {}
        known = recorded.get(transaction_id)
        if known is not None and known[1] >= newest // DAY_MS * DAY_MS - RETENTION_MS:
            yield row, known[0]
            continue
        newest = max(newest, event_time_ms)
        recorded[transaction_id] = (row, event_time_ms)
        yield row, row
