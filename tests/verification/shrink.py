"""Make a failing stream shorter."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

Event = TypeVar("Event")


async def shrink(
    stream: Sequence[Event], fails: Callable[[Sequence[Event]], Awaitable[bool]], most_runs: int = 600
) -> list[Event]:
    """Leave out what a failure does not need: halves first, then ever smaller pieces, single events last.

    Delta debugging by complements (Zeller and Hildebrandt, 2002), bounded in runs.
    """
    events = list(stream)
    piece, runs = max(len(events) // 2, 1), 0
    while runs < most_runs:
        start, before = 0, len(events)
        while start < len(events) and runs < most_runs:
            fewer = events[:start] + events[start + piece :]
            runs += 1
            if fewer and await fails(fewer):
                events = fewer
            else:
                start += piece
        if piece == 1 and len(events) == before:
            break
        piece = max(piece // 2, 1)
    return events
