"""The stream that all take in, and what is right about it."""

from __future__ import annotations

import bisect
import random
from collections.abc import Sequence
from dataclasses import dataclass

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
WINDOWS_MS = (10 * MINUTE_MS, HOUR_MS, DAY_MS)

Values = tuple[int | float, ...]
"""Number, sum and mean of the amounts in each window, windows from the shortest on."""


@dataclass(frozen=True)
class Purchase:
    """One transaction of the stream; its number is its place in it."""

    number: int
    card: str
    time_ms: int
    amount: int


def purchases(count: int, cards: int, seed: int, start_ms: int, span_ms: int) -> list[Purchase]:
    """A stream in order of arrival, from `start_ms` on.

    Two in a hundred come late, by up to two hours and now and then by up to a day; event times of a card are distinct,
    so that an answer can be told by card and time.
    """
    rng = random.Random(seed)
    arrivals = []
    taken: set[tuple[str, int]] = set()
    for number in range(count):
        time = start_ms + span_ms * number // count
        card = f"card-{int(cards * rng.random() ** 2)}"
        while (card, time) in taken:
            time += 1
        taken.add((card, time))
        delay = 0
        if rng.random() < 0.02:
            delay = rng.randrange(2 * HOUR_MS if rng.random() < 0.9 else DAY_MS)
        arrivals.append((time + delay, number, card, time, rng.choice([rng.randrange(100, 20_000), 4_999])))
    arrivals.sort()
    return [Purchase(place, card, time, amount) for place, (_, _, card, time, amount) in enumerate(arrivals)]


def right(stream: Sequence[Purchase], *, all_known: bool = False) -> list[Values]:
    """The values of each transaction when it arrives, or when the whole stream is known."""
    known: dict[str, list[tuple[int, int]]] = {}
    if all_known:
        for one in stream:
            bisect.insort(known.setdefault(one.card, []), (one.time_ms, one.amount))
    answers = []
    for one in stream:
        of_card = known.setdefault(one.card, [])
        if not all_known:
            bisect.insort(of_card, (one.time_ms, one.amount))
        answers.append(trailing(of_card, one.time_ms))
    return answers


def trailing(of_card: Sequence[tuple[int, int]], time_ms: int) -> Values:
    """Number, sum and mean in the windows (t - W, t] of transactions in order of event time."""
    end = bisect.bisect_right(of_card, (time_ms, 10**15))
    values: list[int | float] = []
    for window in WINDOWS_MS:
        begin = bisect.bisect_right(of_card, (time_ms - window, 10**15))
        total = sum(amount for _, amount in of_card[begin:end])
        values += [end - begin, total, total / (end - begin)]
    return tuple(values)
