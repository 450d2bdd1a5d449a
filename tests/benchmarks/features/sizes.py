"""Cost of one record-and-read by the size of the card and how its transactions are spread."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.benchmarks.features.cards import SPREADS, Shape, card
from tests.benchmarks.features.store import Store
from tests.benchmarks.figure import Figure

SIZES = (10, 45, 300, 1_000, 10_000)
_GROWTH = 0.2
"""A card grows by this share at most while it is measured."""
_FLAT_FROM = 300


@dataclass
class Cost:
    """What was measured of cards of one shape."""

    shape: Shape
    server_us: list[int] = field(default_factory=list)
    round_trip_us: list[float] = field(default_factory=list)
    bytes_per_transaction: float = 0.0

    def document(self) -> dict[str, object]:
        """As JSON; times in microseconds."""
        return {
            "card": self.shape.name,
            "server_p50": percentile(self.server_us, 50),
            "server_p99": percentile(self.server_us, 99),
            "server_max": max(self.server_us),
            "round_trip_p50": round(percentile(self.round_trip_us, 50), 1),
            "round_trip_p99": round(percentile(self.round_trip_us, 99), 1),
            "bytes_per_transaction": round(self.bytes_per_transaction, 1),
        }


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that so many percent do not exceed."""
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


def measure(store: Store, sizes: Sequence[int], calls: int) -> list[Cost]:
    """So many calls for each size and spread, all shapes mixed, half of them alone on the wire for round trips."""
    rng = random.Random(1)
    costs = [Cost(Shape(size, spread)) for size in sizes for spread in SPREADS]
    queues = []
    for cost in costs:
        further = max(2, int(cost.shape.transactions * _GROWTH))
        cards = [card(cost.shape, further, rng) for _ in range(max(1, math.ceil(calls * 1.5 / further)))]
        store.load(call for one in cards for call in one.held)
        measured = [store.bytes_of(one.held[0]) for one in cards[:5]]
        cost.bytes_per_transaction = sum(measured) / len(measured) / cost.shape.transactions
        queues += [(cost, one.further) for one in cards]
    rng.shuffle(queues)
    while queues:
        waiting = []
        for cost, further in queues:
            some, rest = further[:1], further[1:]
            if rng.random() < 1 / 3:
                cost.round_trip_us += store.round_trips_us(some)
            else:
                cost.server_us += store.server_us(some)
            if rest:
                waiting.append((cost, rest))
        queues = waiting
    return costs


def figures(costs: Sequence[Cost]) -> list[Figure]:
    """The measurements beside their targets."""
    found = []
    for cost in costs:
        name, how = cost.shape.name, f"{len(cost.server_us):,} calls, 5 % late, all shapes mixed, server time"
        for percent, target in ((50, 80.0), (99, 250.0)):
            value = percentile(cost.server_us, percent)
            found.append(_figure(f"{name}: p{percent}", value, "us", target, how))
        target = 100.0 if cost.shape.transactions <= 128 else 165.0
        found.append(
            _figure(f"{name}: memory", round(cost.bytes_per_transaction, 1), "B/transaction", target, "MEMORY USAGE")
        )
    sizes = sorted({cost.shape.transactions for cost in costs})
    if sizes[0] <= _FLAT_FROM < sizes[-1]:
        p99 = {size: _p99(costs, size) for size in sizes if size >= _FLAT_FROM}
        least = p99[min(p99)]
        worst = max(p99, key=lambda size: p99[size])
        how = ", ".join(f"{size:,}: {value:g} us" for size, value in p99.items()) + ", all spreads of a size together"
        found.append(
            _figure(f"p99 at {worst:,} over that at {min(p99):,}", round(p99[worst] / least, 2), "x", 1.5, how)
        )
    return found


def _p99(costs: Sequence[Cost], size: int) -> float:
    return percentile([took for cost in costs if cost.shape.transactions == size for took in cost.server_us], 99)


def _figure(name: str, value: float, unit: str, target: float, how: str) -> Figure:
    return Figure(name=name, value=value, unit=unit, bound="<=", target=target, how=how)
