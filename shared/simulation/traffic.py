"""The whole traffic in event-time order, block by block.

A block is a span of event time that depends on the configuration alone, and every block is made from its own keyed
generator. What a caller reads at a time, and how far, therefore never changes what it reads.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

import numpy as np

from shared.simulation.config import DAY_MS, MINUTE_MS, SimulationConfig
from shared.simulation.delivery import DeliveryPlan, plan
from shared.simulation.fraud import RECIPES, Scene
from shared.simulation.habits import Habits
from shared.simulation.merchants import Merchants
from shared.simulation.noise import Purpose, generator
from shared.simulation.population import Population
from shared.simulation.rows import Rows

LOOKALIKE_SHARE = 0.007
LARGEST_BLOCK = 10_000
_BLOCK_MINUTES = (1_440, 720, 360, 180, 60, 30, 15, 5, 1)
_DAYS_BEFORE = 1 << 10  # keys of generators must not be negative; episodes begin some days before the start
_LOOKALIKE_DAYS = 2


@dataclass(frozen=True, slots=True)
class Block:
    """The transactions of one span of event time.

    Attributes:
        first: Number of the first transaction, counted from the start of the traffic.
        begin_ms: Event time at which the block begins.
        end_ms: Event time before which it ends.
        rows: Transactions in event-time order.
        plan: When each of them, and its label, is delivered.
    """

    first: int
    begin_ms: int
    end_ms: int
    rows: Rows
    plan: DeliveryPlan


class Traffic:
    """An endless, repeatable stream of transactions."""

    def __init__(self, config: SimulationConfig) -> None:
        self.config = config
        self.population = Population(config.seed, config.cards)
        self.merchants = Merchants(self.population)
        self.block_ms = _block_ms(config.transactions_per_day)
        habits = Habits(self.population, self.merchants)
        self._scene = Scene(self.population, self.merchants, habits)

    def blocks(self) -> Iterator[Block]:
        """Yield the transactions of one block after another, in event-time order, from the start on for ever."""
        first = 0
        pending = Rows.concat([])
        next_day = -max(recipe.reach_days for recipe in RECIPES.values())
        for index in count():
            begin = self.config.start_ms + index * self.block_ms
            end = begin + self.block_ms
            while self.config.start_ms + next_day * DAY_MS < end:
                pending = Rows.concat([pending, self._episodes_of_day(next_day)]).by_time()
                next_day += 1
            left, right = np.searchsorted(pending.time_ms, [begin, end])
            episodes, pending = pending.take(slice(left, right)), pending.take(slice(right, None))
            rows = Rows.concat([episodes, self._everyday(index, begin, end)]).by_time()
            rng = generator(self.config.seed, Purpose.DELIVERY, self.config.start_ms, index)
            yield Block(first, begin, end, rows, plan(self.config, rng, rows))
            first += len(rows)

    def _everyday(self, index: int, begin: int, end: int) -> Rows:
        config = self.config
        rng = generator(config.seed, Purpose.GENUINE, config.start_ms, index)
        share = 1 - config.fraud_share - LOOKALIKE_SHARE
        expected = config.transactions_per_day * (end - begin) / DAY_MS * share
        return self._scene.habits.everyday(rng, begin, end, int(rng.poisson(expected)))

    def _episodes_of_day(self, day: int) -> Rows:
        """Make everything that begins on a day; fraud of a pattern not before its onset."""
        config = self.config
        begin = config.start_ms + day * DAY_MS
        parts = []
        for number, (pattern, recipe) in enumerate(RECIPES.items()):
            expected = config.transactions_per_day * config.share(pattern, day)
            if day >= -recipe.reach_days and expected > 0:
                rng = generator(config.seed, Purpose.EPISODES, config.start_ms, number, day + _DAYS_BEFORE)
                rows = recipe.make(self._scene, rng, begin, expected)
                parts.append(rows.take(rows.time_ms >= config.onset_ms(pattern)))
        if day >= -_LOOKALIKE_DAYS:
            rng = generator(config.seed, Purpose.EPISODES, config.start_ms, len(RECIPES), day + _DAYS_BEFORE)
            parts.append(self._scene.habits.lookalikes(rng, begin, config.transactions_per_day * LOOKALIKE_SHARE))
        return Rows.concat(parts)


def _block_ms(transactions_per_day: float) -> int:
    for minutes in _BLOCK_MINUTES:
        if transactions_per_day * minutes / 1_440 <= LARGEST_BLOCK:
            return minutes * MINUTE_MS
    return MINUTE_MS
