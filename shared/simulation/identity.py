"""Identifiers of simulated cards, merchants and transactions.

At most twelve digits stand in a row, so that no identifier can be mistaken for a card number (13 digits or more).
"""

import numpy as np
import numpy.typing as npt

from shared.simulation import merchants
from shared.simulation.config import SimulationConfig
from shared.simulation.noise import Ints, letters

Objects = npt.NDArray[np.object_]


class Identity:
    """Writes the identifiers of one simulation.

    Cards and merchants are named by the seed and their index: they stay the same people and shops in every run of a
    seed. Transactions are named by the whole configuration, the start included: two runs never share an id.
    """

    def __init__(self, config: SimulationConfig) -> None:
        self._world = letters(4, "world", config.seed)
        mix = sorted((pattern.value, share) for pattern, share in config.mix.items())
        onset = sorted((pattern.value, day) for pattern, day in config.onset_days.items())
        self._run = letters(
            10, config.seed, config.start_ms, config.transactions_per_day, config.fraud_share, mix, onset
        )

    def transaction(self, sequence: int) -> str:
        """Return the id of the n-th transaction since the start."""
        return f"tx_{self._run}{sequence:09d}"

    def card(self, index: int) -> str:
        """Return the token of a card."""
        return f"card_{self._world}{index:06d}"

    def merchant(self, code: int) -> str:
        """Return the id of a merchant from its code."""
        place, number = divmod(code, merchants.NUMBERS)
        return f"m_{self._world}{place:04d}{number:05d}"

    def cards(self, index: Ints) -> Objects:
        """Return the tokens of many cards; equal cards share one string."""
        unique, inverse = np.unique(index, return_inverse=True)
        return np.array([self.card(int(i)) for i in unique], dtype=object)[inverse]

    def merchants(self, code: Ints) -> Objects:
        """Return the ids of many merchants; equal merchants share one string."""
        unique, inverse = np.unique(code, return_inverse=True)
        return np.array([self.merchant(int(i)) for i in unique], dtype=object)[inverse]
