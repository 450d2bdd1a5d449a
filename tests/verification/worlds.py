"""Hostile worlds: streams of cards that share merchants, each with the engine settings it is run under.

A world is made from a seed and its number alone, so that it can be run again by itself.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from shared.features.online.layout import Limits
from tests.support.features.merchant_streams import Item, random_merchant_stream
from tests.support.features.oracle import DAY, HOUR, MINUTE, Tx
from tests.support.features.streams import busy_card, random_stream, tied_card

TINY = Limits(small=4, block=3, page=2, bucket=150, sweep=2, digests=2)
LITTLE = Limits(small=12, block=8, page=3, bucket=300, sweep=4, digests=7)
ODD_CARDS = [
    "{",
    "}",
    "{}",
    "a}b{c",
    "%7B",
    "%",
    "%25{x}",
    "карта",
    "カード",
    "🦊🦊",
    "with space",
    "x" * 200,
    "c:l",
    "'\"",
]
LONG_CARD = 100_000
LONG_CARD_READS = 200
LONG_CARD_EVERY = 200
"""One world in so many is a card of `LONG_CARD` transactions."""


@dataclass(frozen=True)
class World:
    """A stream and how it is run.

    Attributes:
        name: What kind of world it is, its seed and its number.
        stream: What happens, in order of arrival.
        limits: The online engine's limits.
        batch: Calls that share a round trip.
        every: Vectors are compared at one in so many events; the status at each.
    """

    name: str
    stream: Sequence[Item]
    limits: Limits
    batch: int
    every: int = 1


def size(number: int) -> int:
    """How many decisions a world compares."""
    return LONG_CARD_READS if is_long(number) else 2_000


def is_long(number: int) -> bool:
    """Whether a world is one card of very many transactions; such a world takes half a minute."""
    return number % LONG_CARD_EVERY == LONG_CARD_EVERY // 4


def world(seed: int, number: int, decisions: int) -> World:
    """The world of that number, cut to so many decisions."""
    rng = random.Random(f"{seed}/{number}")
    if is_long(number):
        every = LONG_CARD // LONG_CARD_READS
        stream = _long_card(rng)[: decisions * every]
        return World(f"long card, seed {seed}, number {number}", stream, Limits(), 64, every)
    make = _KINDS[number % len(_KINDS)]
    limits = rng.choice([Limits(), Limits(), TINY, LITTLE])
    every = 5 if make is _busy else 1
    stream = _cut(make(rng, decisions * every), decisions * every)
    return World(
        f"{make.__name__.strip('_')}, seed {seed}, number {number}", stream, limits, rng.choice([1, 7, 16, 64]), every
    )


def _cut(stream: Sequence[Item], transactions: int) -> list[Item]:
    """The beginning of a stream with so many transactions."""
    numbers = accumulate(isinstance(item, Tx) for item in stream)
    return [item for item, number in zip(stream, numbers, strict=True) if number <= transactions]


def _long_card(rng: random.Random) -> list[Tx]:
    """One card of very many transactions.

    Few are late and few repeated: the history engine looks at every earlier transaction of the card for each that one
    overtook. Many late ones are the business of `_busy`.
    """
    span = rng.choice([DAY, 29 * DAY, 60 * DAY])
    return busy_card(
        rng.randrange(2**32), LONG_CARD, span, late=0.001, repeats=0.005, cities=200, latest_ms=span // 10_000
    )


def _cards(rng: random.Random, count: int) -> list[str]:
    return [*rng.sample(ODD_CARDS, min(count // 2, len(ODD_CARDS))), *[f"card-{k}" for k in range(count)]][:count]


def _short_cards(rng: random.Random, length: int) -> list[Tx]:
    """Many cards of a few dozen transactions each."""
    return random_stream(rng.randrange(2**32), length, _cards(rng, 1 + length // rng.choice([12, 30, 60])))


def cards_in_turn(rng: random.Random, length: int) -> list[Tx]:
    """Several streams of other anchors and paces, one transaction of one after one of another."""
    count = 6
    each = -(-length // count)
    streams = []
    for number in range(count):
        cards = [f"{card}/{number}" for card in _cards(rng, rng.choice([1, 3, 9]))]
        streams.append(random_stream(rng.randrange(2**32), each, cards))
    return [tx for turn in zip(*streams, strict=True) for tx in turn]


def _middling_cards(rng: random.Random, length: int) -> list[Tx]:
    """Cards that outgrow the representation of small ones."""
    return random_stream(rng.randrange(2**32), length, _cards(rng, 1 + length // 250))


def _merchants(rng: random.Random, length: int) -> list[Item]:
    """Few merchants of many cards over months, with labels in every order."""
    stream: list[Item] = []
    while sum(isinstance(item, Tx) for item in stream) < length:
        number = len(stream)
        cards = [f"{card}/{number}" for card in _cards(rng, 5)]
        part = random_merchant_stream(rng.randrange(2**32), rng.choice([60, 250, 600]), cards)
        stream += [replace(item, merchant_id=f"{item.merchant_id}/{number}") for item in part]
    return stream


def _tied(rng: random.Random, length: int) -> list[Tx]:
    """Cards whose event times are few, and others exactly a window apart."""
    return _one_after_another(rng, length, lambda: tied_card(rng.randrange(2**32), rng.choice([40, 150, 400])))


def _busy(rng: random.Random, length: int) -> list[Tx]:
    """Cards with very much to do, within minutes or over months."""

    def one() -> list[Tx]:
        span = rng.choice([MINUTE, 10 * MINUTE, HOUR, DAY, 7 * DAY, 30 * DAY, 90 * DAY])
        late = rng.choice([0.0, 0.05, 0.5])
        return busy_card(
            rng.randrange(2**32), rng.choice([300, 1_200, 3_000]), span, late=late, cities=rng.choice([8, 300])
        )

    return _one_after_another(rng, length, one)


def _one_after_another(rng: random.Random, length: int, make: Callable[[], list[Tx]]) -> list[Tx]:
    """As many single cards as it takes, each under a name of its own."""
    stream: list[Tx] = []
    names = iter(_cards(rng, length))
    while len(stream) < length:
        name = next(names)
        stream += [replace(tx, card_id=name) for tx in make()]
    return stream


_KINDS: tuple[Callable[[random.Random, int], Sequence[Item]], ...] = (
    _short_cards,
    _middling_cards,
    cards_in_turn,
    _tied,
    _merchants,
    _busy,
    cards_in_turn,
    _merchants,
)
