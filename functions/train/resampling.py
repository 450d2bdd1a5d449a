"""Bootstrap weights."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

DRAWS = 200


def card_weights(card: npt.NDArray[np.int64], seed: int, draws: int = DRAWS) -> Iterator[npt.NDArray[np.int64]]:
    """Yield row weights of a Poisson bootstrap that resamples whole cards.

    Poisson(1) weights stand for drawing with replacement (Chamandy et al. 2012); one weight per card keeps rows that
    belong together together.

    Args:
        card: Card of each of n rows, as numbers from 0 on.
        seed: Of the weights.
        draws: Number of resamples.
    """
    generator = np.random.default_rng(seed)
    cards = int(card.max()) + 1
    for _ in range(draws):
        yield generator.poisson(1.0, cards)[card]
