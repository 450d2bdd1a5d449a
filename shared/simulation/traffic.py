"""The whole traffic in event-time order, block by block.

A block is a span of event time that depends on the configuration alone, and every block is made from its own keyed
generator. What a caller reads at a time, and how far, therefore never changes what it reads.
"""

from collections.abc import Iterator, Sequence
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
LARGEST_SPAN = 250_000
_BLOCK_MINUTES = (1_440, 720, 360, 180, 60, 30, 15, 5, 1)
_SPAN_MINUTES = (1_440, 360, 60, 10)
_SPANS_BEFORE = 1 << 20  # keys of generators must not be negative; episodes begin some days before the start


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
        self.block_ms = _largest_span_ms(config.transactions_per_day, _BLOCK_MINUTES, LARGEST_BLOCK)
        # Episodes are made for longer spans than blocks, since they last longer: days with few cards, hours with many.
        self._span_ms = _largest_span_ms(config.transactions_per_day, _SPAN_MINUTES, LARGEST_SPAN)
        habits = Habits(self.population, self.merchants)
        self._scene = Scene(self.population, self.merchants, habits, self._span_ms)

    def blocks(self) -> Iterator[Block]:
        """Yield the transactions of one block after another, in event-time order, from the start on for ever."""
        first = 0
        pending = Rows.concat([])
        span = -max(recipe.reach_days for recipe in RECIPES.values()) * DAY_MS // self._span_ms
        for index in count():
            begin = self.config.start_ms + index * self.block_ms
            end = begin + self.block_ms
            while self.config.start_ms + span * self._span_ms < end:
                pending = Rows.concat([pending, self._episodes(span)]).by_time()
                span += 1
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

    def _episodes(self, span: int) -> Rows:
        """Make everything that begins within a span, counted from the start; no fraud before its onset."""
        config = self.config
        begin = config.start_ms + span * self._span_ms
        volume = config.transactions_per_day * self._span_ms / DAY_MS
        parts = []
        for number, (pattern, recipe) in enumerate(RECIPES.items()):
            expected = volume * config.share(pattern)
            onset = config.onset_ms(pattern)
            reaches = begin + self._span_ms + recipe.reach_days * DAY_MS > config.start_ms
            if expected > 0 and reaches and begin + self._span_ms > onset:
                rows = recipe.make(self._scene, self._episode_generator(number, span), begin, expected)
                parts.append(rows.take(rows.time_ms >= onset))
        if span * self._span_ms >= -DAY_MS:
            rng = self._episode_generator(len(RECIPES), span)
            parts.append(self._scene.habits.lookalikes(rng, begin, self._span_ms, volume * LOOKALIKE_SHARE))
        return Rows.concat(parts)

    def _episode_generator(self, number: int, span: int) -> np.random.Generator:
        return generator(self.config.seed, Purpose.EPISODES, self.config.start_ms, number, span + _SPANS_BEFORE)


def _largest_span_ms(transactions_per_day: float, choices: Sequence[int], most: int) -> int:
    """Return the longest of the spans (minutes, longest first) that holds at most so many transactions."""
    for minutes in choices:
        if transactions_per_day * minutes / 1_440 <= most:
            return minutes * MINUTE_MS
    return choices[-1] * MINUTE_MS
