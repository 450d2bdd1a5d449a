"""Hostile streams of transactions: ties, edges to the millisecond, late and future events, repeated and changed ids.

One generator serves hypothesis (which shrinks a failure) and plain random numbers (which are fast).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol, TypeVar

from hypothesis import strategies as st

from tests.support.features.oracle import DAY, HOUR, MINUTE, SECOND, Tx

T = TypeVar("T")

ANCHORS = [
    datetime(2026, 3, 29, 0, 59, 59, 999_000, tzinfo=UTC),  # clocks change in Europe
    datetime(2025, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC),
    datetime(2024, 2, 29, 12, 0, tzinfo=UTC),
    datetime(2026, 11, 1, 6, 0, tzinfo=UTC),  # clocks change in America
]
WINDOWS = [10 * MINUTE, HOUR, DAY, 7 * DAY, 30 * DAY, 31 * DAY]
TEXTS = ["Lisbon", "Zürich", "東京", "São Paulo", "a{b}c", "%7B", "'", "🦊" * 60, "x" * 255]
CATEGORIES = [None, "", "grocery", "jewelry", "crypto", "Crypto", "hotel"]
PLACES = [
    (None, None),
    (38.7223, -9.1393),
    (47.3769, 8.5417),
    (-90.0, 180.0),
    (12.5, -180.0),
    (35.6762, 139.6503),
    (None, 8.0),
]
AMOUNTS = [0, 1, 99, 4_999, 10_000, 2**26 - 1, 2**26, 2**26 + 1, 2**31, 10**12 - 1, 10**12]


class Chooser(Protocol):
    """Where a stream's choices come from."""

    def pick(self, options: Sequence[T]) -> T:
        """One of the options; the first is the simplest."""

    def whole(self, low: int, high: int) -> int:
        """A whole number between the two, both included."""


class RandomChooser:
    """Choices by a seeded generator."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def pick(self, options: Sequence[T]) -> T:
        return options[int(self._random.random() * len(options))]

    def whole(self, low: int, high: int) -> int:
        return low + int(self._random.random() * (high - low + 1))


class HypothesisChooser:
    """Choices by hypothesis."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw

    def pick(self, options: Sequence[T]) -> T:
        return self._draw(st.sampled_from(options))

    def whole(self, low: int, high: int) -> int:
        return self._draw(st.integers(low, high))


@st.composite
def hostile_streams(draw: st.DrawFn, *, most: int = 30, cards: Sequence[str] = ("c", "{c}")) -> list[Tx]:
    """Streams in arrival order, for hypothesis."""
    return stream(HypothesisChooser(draw), draw(st.integers(1, most)), cards)


def random_stream(seed: int, length: int, cards: Sequence[str]) -> list[Tx]:
    """A stream of that length, the same for the same seed."""
    return stream(RandomChooser(seed), length, cards)


def stream(choose: Chooser, length: int, cards: Sequence[str]) -> list[Tx]:
    """A hostile stream in arrival order."""
    anchor = int(choose.pick(ANCHORS).timestamp() * 1000)
    pace = choose.pick([SECOND, MINUTE, HOUR, DAY])
    amounts = choose.pick([AMOUNTS, [5_000, 5_000, 5_000, 7_100], [10**12], [100, 250, 2_599, 3_105]])
    clock = anchor
    sent: list[Tx] = []
    for _ in range(length):
        action = choose.whole(0, 19)
        if sent and action <= 2:
            sent.append(_again(choose, sent))
            continue
        sent.append(_fresh(choose, sent, clock, cards, amounts))
        clock = max(clock, sent[-1].event_time_ms) + choose.whole(0, 2 * pace)
    return sent


def _fresh(choose: Chooser, sent: list[Tx], clock: int, cards: Sequence[str], amounts: Sequence[int]) -> Tx:
    latitude, longitude = choose.pick(PLACES)
    return Tx(
        transaction_id=_identity(choose, len(sent)),
        card_id=choose.pick(cards),
        event_time_ms=_event_time(choose, sent, clock),
        amount_minor=choose.pick(amounts),
        merchant_id=choose.pick(TEXTS[:4]) if choose.whole(0, 2) else f"m{len(sent)}",
        merchant_category=choose.pick(CATEGORIES),
        city=choose.pick([None, "", *TEXTS]),
        country=choose.pick([None, "PT", "JP"]),
        latitude=latitude,
        longitude=longitude,
        channel=choose.pick([None, "pos", "ecommerce"]),
    )


def _identity(choose: Chooser, number: int) -> str:
    match choose.whole(0, 3):
        case 0:
            return f"t{number}"
        case 1:
            return f"{number:08x}-1234-4abc-8def-{number:012x}"
        case 2:
            return f"{number:08X}-1234-4ABC-8DEF-{number:012X}"  # not canonical: another id than its lower-case form
        case _:
            return f"トランザクション{number}"


def _event_time(  # noqa: PLR0911 - one return per way to be hostile
    choose: Chooser, sent: list[Tx], clock: int
) -> int:
    """Mostly the clock; else a tie, an exact edge of an earlier one, late, much too late, or ahead."""
    match choose.whole(0, 9):
        case 0 if sent:
            return choose.pick(sent).event_time_ms
        case 1 if sent:
            return choose.pick(sent[-5:]).event_time_ms + choose.pick(WINDOWS[:3]) + choose.pick([0, -1, 1])
        case 2 if sent and choose.whole(0, 3) == 0:
            return choose.pick(sent[-5:]).event_time_ms + choose.pick(WINDOWS) + choose.pick([0, -1, 1])
        case 3 if sent:
            return choose.pick(sent).event_time_ms - choose.pick(WINDOWS) + choose.pick([0, -1, 1])
        case 4:
            return clock - choose.whole(0, 40 * DAY)
        case 5:
            return clock + choose.whole(0, 5 * MINUTE)
        case 6:
            return clock // DAY * DAY - choose.pick([0, 31 * DAY]) + choose.pick([0, -1, 1])
        case _:
            return clock


def _again(choose: Chooser, sent: list[Tx]) -> Tx:
    """An id that was sent before: the same content, or another version of it."""
    old = choose.pick(sent)
    match choose.whole(0, 7):
        case 0:
            return replace(old, event_time_ms=old.event_time_ms + choose.pick([1, HOUR, -HOUR, 40 * DAY, -40 * DAY]))
        case 1:
            return replace(old, amount_minor=(old.amount_minor + 1) % 10**12)
        case 2:
            return replace(old, merchant_category="gambling" if old.merchant_category != "gambling" else None)
        case 3:
            return replace(old, city="Oslo", latitude=59.9139, longitude=10.7522, merchant_id="other")
        case _:
            return old


def busy_card(
    seed: int,
    length: int,
    span_ms: int,
    *,
    late: float = 0.05,
    repeats: float = 0.05,
    cities: int = 8,
    latest_ms: int | None = None,
) -> list[Tx]:
    """Many transactions of one card spread over a time, some late by up to `latest_ms` (all of it), some sent again."""
    rng = random.Random(seed)
    start = int(ANCHORS[1].timestamp() * 1000)
    sent: list[Tx] = []
    for number in range(length):
        if sent and rng.random() < repeats:
            sent.append(rng.choice(sent[-20:] if rng.random() < 0.8 else sent))
            continue
        clock = start + span_ms * number // length
        most = clock - start if latest_ms is None else min(latest_ms, clock - start)
        time = clock - rng.randrange(most + 1) if rng.random() < late else clock
        latitude, longitude = rng.choice(PLACES)
        sent.append(
            Tx(
                transaction_id=f"{rng.getrandbits(128):032x}",
                card_id="c",
                event_time_ms=time // 1000 * 1000 if rng.random() < 0.1 else time,
                amount_minor=rng.choice([rng.randrange(100, 20_000), rng.randrange(10**12), 5_000]),
                merchant_id=f"m{int(rng.paretovariate(0.7)) % 400}",
                merchant_category=rng.choice(CATEGORIES),
                city=f"city {int(cities * rng.random() ** 2)}" if rng.random() < 0.95 else None,
                country="PT",
                latitude=latitude,
                longitude=longitude,
                channel="pos",
            )
        )
    return sent


def tied_card(seed: int, length: int) -> list[Tx]:
    """One card whose event times are few: ties of different places, and others exactly a window apart."""
    rng = random.Random(seed)
    midnight = int(ANCHORS[2].timestamp() * 1000) // DAY * DAY
    moments = [midnight + days * DAY + offset for days in (0, 5, 10, 30) for offset in (0, 1, 6 * HOUR, 6 * HOUR + 1)]
    delays = [rng.choice([0, 0, 0, length // 2]) for _ in range(length)]
    arrivals = sorted(range(length), key=lambda number: number + delays[number])
    sent = []
    for number in arrivals:
        latitude, longitude = rng.choice(PLACES)
        sent.append(
            Tx(
                transaction_id=f"t{number}",
                card_id="c",
                event_time_ms=moments[number * len(moments) // length] + (2 if delays[number] else 0),
                amount_minor=rng.choice([1, 2, 2, 3]),
                merchant_id=f"m{rng.randrange(length // 3)}",
                city=rng.choice([None, "Lisbon", "Oslo", "Rome", f"city {number}"]),
                latitude=latitude,
                longitude=longitude,
            )
        )
        if rng.random() < 0.1:
            sent.append(rng.choice(sent))
    return sent
