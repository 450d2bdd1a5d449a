"""Simulated transactions as columns."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from shared.simulation.noise import Ints


@dataclass(frozen=True, slots=True)
class Rows:
    """Transactions as equally long columns of numbers.

    Attributes:
        card: Index of the card.
        time_ms: Event time, UTC milliseconds.
        merchant: Code of the merchant, which says its place, category and number (see `merchants`).
        amount: Minor units.
        channel: Index into `categories.CHANNELS`.
        pattern: Index into `config.PATTERNS`, or `config.GENUINE`.
    """

    card: Ints
    time_ms: Ints
    merchant: Ints
    amount: Ints
    channel: Ints
    pattern: Ints

    def __len__(self) -> int:
        return len(self.card)

    def take(self, index: "slice | Ints | np.ndarray[tuple[int], np.dtype[np.bool_]]") -> Self:
        """Return the rows that `index` selects, in its order."""
        return type(self)(*(getattr(self, column.name)[index] for column in fields(self)))

    def by_time(self) -> Self:
        """Return the rows in event-time order; rows of the same millisecond keep their order."""
        return self.take(np.argsort(self.time_ms, kind="stable"))

    @classmethod
    def concat(cls, parts: Sequence[Self]) -> Self:
        """Return the parts one after another."""
        if not parts:
            return cls(*(np.empty(0, dtype=np.int64) for _ in fields(cls)))
        return cls(*(np.concatenate([getattr(part, c.name) for part in parts]) for c in fields(cls)))
