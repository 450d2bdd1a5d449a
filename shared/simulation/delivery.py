"""When transactions and labels reach the outside: late, twice, and weeks after."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from shared.simulation.config import DAY_MS, GENUINE, SimulationConfig
from shared.simulation.noise import Ints
from shared.simulation.rows import Rows

NEVER = -1
_LATE_MS = (5_000.0, 6 * 3_600_000.0)
_DUPLICATE_MS = (200.0, 60_000.0)
_LIKELIEST_DELAY = 0.3


@dataclass(frozen=True, slots=True)
class DeliveryPlan:
    """Times of delivery, UTC milliseconds of event time, one per transaction.

    Attributes:
        arrival_ms: First delivery: the event time, or later for late ones.
        duplicate_ms: Second delivery of the same transaction, or `NEVER`.
        label_ms: Arrival of the label, or `NEVER` for genuine transactions, which get none.
    """

    arrival_ms: Ints
    duplicate_ms: Ints
    label_ms: Ints

    def take(self, index: slice) -> Self:
        """Return the plan of a part of the transactions."""
        return type(self)(self.arrival_ms[index], self.duplicate_ms[index], self.label_ms[index])

    @classmethod
    def concat(cls, parts: Sequence[Self]) -> Self:
        """Return the parts one after another."""
        return cls(*(np.concatenate([getattr(part, column.name) for part in parts]) for column in fields(cls)))


def plan(config: SimulationConfig, rng: np.random.Generator, rows: Rows) -> DeliveryPlan:
    """Decide which transactions come late or twice, and when frauds are labelled.

    Lateness is log-uniform from 5 s to 6 h; a label's delay has a triangular distribution between the configured
    bounds, with its peak at 30 % of the way.
    """
    count = len(rows)
    late = np.where(rng.random(count) < config.late_share, _log_uniform(rng, *_LATE_MS, count), 0)
    arrival = rows.time_ms + late
    twice = rng.random(count) < config.duplicate_share
    duplicate = np.where(twice, arrival + _log_uniform(rng, *_DUPLICATE_MS, count), NEVER)
    shortest, longest = (days * DAY_MS for days in config.label_delay_days)
    position = rng.triangular(0.0, _LIKELIEST_DELAY, 1.0, count)
    delay = np.rint(shortest + (longest - shortest) * position).astype(np.int64)
    # Nobody can find a fraud that has not arrived yet, however short the delay.
    known = np.maximum(rows.time_ms + delay, arrival + 1)
    label = np.where(rows.pattern == GENUINE, NEVER, known)
    return DeliveryPlan(arrival, duplicate, label)


def _log_uniform(rng: np.random.Generator, low: float, high: float, count: int) -> Ints:
    return np.exp(rng.uniform(np.log(low), np.log(high), count)).astype(np.int64)
