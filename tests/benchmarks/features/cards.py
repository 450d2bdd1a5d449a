"""Cards of a given size, spread and lateness, as transactions in arrival order."""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import count
from typing import NamedTuple

from shared.features.online.wire import Call, pack
from tests.support.features.oracle import DAY, HOUR, Tx

NEWEST_MS = 1_790_000_000_000
SPREADS = {"30 d": 30 * DAY, "24 h": DAY, "1 h": HOUR}
LATE = 0.05
"""Share of late transactions; they are late by anything up to the card's whole spread."""
_MERCHANTS = 400
_SERIAL = count()


@dataclass(frozen=True)
class Shape:
    """What a card looks like: transactions, the time they are spread over, cities it is used in."""

    transactions: int
    spread: str
    cities: int = 8

    @property
    def name(self) -> str:
        """For tables."""
        return f"{self.transactions:,} in {self.spread}"


class Card(NamedTuple):
    """The calls that make a card of its size, and those after them, which go on at the same pace."""

    held: list[Call]
    further: list[Call]


def card(shape: Shape, further: int, rng: random.Random) -> Card:
    """A card of its own, never seen before."""
    name = f"card-{next(_SERIAL):08d}"
    calls = [pack(tx) for tx in transactions(shape, further, rng, name)]  # type: ignore[arg-type]
    return Card(calls[: shape.transactions], calls[shape.transactions :])


def transactions(shape: Shape, further: int, rng: random.Random, card_id: str) -> list[Tx]:
    """The same before it is packed."""
    spread = SPREADS[shape.spread]
    return [
        _transaction(card_id, NEWEST_MS + spread * (number - shape.transactions) // shape.transactions, shape, rng)
        for number in range(shape.transactions + further)
    ]


def _transaction(card_id: str, clock: int, shape: Shape, rng: random.Random) -> Tx:
    late = rng.randrange(SPREADS[shape.spread]) if rng.random() < LATE else 0
    bits = f"{rng.getrandbits(128):032x}"
    city = rng.randrange(shape.cities)
    return Tx(
        transaction_id=f"{bits[:8]}-{bits[8:12]}-{bits[12:16]}-{bits[16:20]}-{bits[20:]}",
        card_id=card_id,
        event_time_ms=clock - late,
        amount_minor=int(rng.lognormvariate(8, 1)),
        merchant_id=f"m-{int(rng.paretovariate(0.7)) % _MERCHANTS:05d}",
        merchant_category=rng.choice(("grocery", "fuel", "electronics", "travel", "jewelry")),
        city=f"city {city}",
        country="PT",
        latitude=38.0 + city % 100 / 100,
        longitude=-9.0 - city % 70 / 100,
        channel=rng.choice(("pos", "ecommerce")),
    )
