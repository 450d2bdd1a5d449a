"""The population stability index: how far a distribution lies from a reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
PRIOR = 0.5
"""Added to the count of each bin, so that an empty one gives a large index and not an infinite one."""


def population_stability_index(counts: npt.ArrayLike, reference: npt.ArrayLike) -> Floats:
    """Return the sum over the bins of (q - p) ln(q / p), with p the reference's shares and q the others'.

    This is Jeffreys' divergence of the binned distributions. For two normal distributions of one deviation it tends to
    the squared distance of their means in deviations: half a deviation is 0.25. Usage takes less than 0.1 for no
    change worth a look and more than 0.25 for a large one. Sources: H. Jeffreys, Proc. R. Soc. A 186 (1946) 453-461;
    N. Siddiqi, Credit Risk Scorecards (2006), 136; B. Yurdakul, Statistical Properties of Population Stability Index
    (Western Michigan University, 2018), whose expectation without any change, (bins - 1)(1/n + 1/m), says that a small
    sample needs a correction.

    Args:
        counts: Rows (or weights) per bin in the last axis, [..., bins]; half a row is added to each.
        reference: The same of the reference.
    """
    shares = []
    for side in (counts, reference):
        filled = np.asarray(side, float) + PRIOR
        shares.append(filled / filled.sum(axis=-1, keepdims=True))
    here, there = shares
    return np.asarray(((here - there) * np.log(here / there)).sum(axis=-1))


@dataclass(frozen=True, slots=True)
class Bins:
    """Where a distribution is cut.

    Attributes:
        edges: Upper ends of all bins but the last, ascending; a value at an edge lies below it.
    """

    edges: Floats

    def __len__(self) -> int:
        return len(self.edges) + 1

    @classmethod
    def by_quantiles(cls, values: npt.NDArray[Any], weights: Floats | None = None, bins: int = 10) -> Bins:
        """Cut a reference into bins of equal weight.

        A single value that outweighs half a bin gets a bin of its own: without it a count that is 1 in most rows
        would fall into one bin with everything below, and no change of it would show.

        Args:
            values: The reference, [n], n > 0, without NaN.
            weights: Weight of each; equal ones when None.
            bins: How many.
        """
        order = np.argsort(values, kind="stable")
        ascending = np.asarray(values, float)[order]
        cumulated = np.arange(1.0, len(ascending) + 1) if weights is None else np.cumsum(weights[order])
        wanted = cumulated[-1] * np.arange(1, bins) / bins
        quantiles = ascending[np.minimum(np.searchsorted(cumulated, wanted), len(ascending) - 1)]
        edges: list[float] = []
        for edge in np.unique(quantiles).tolist():
            first, end = (int(np.searchsorted(ascending, edge, side)) for side in ("left", "right"))
            before = cumulated[first - 1] if first else 0.0
            if cumulated[end - 1] - before > cumulated[-1] / (2 * bins):
                edges.append(float(np.nextafter(edge, -np.inf)))
            edges.append(edge)
        return cls(np.unique(np.array(edges, float)))

    def place(self, values: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Return the bin of each value; -1 of NaN, which lies in none."""
        placed = np.searchsorted(self.edges, np.asarray(values, float), side="left").astype(np.int64)
        placed[np.isnan(values)] = -1
        return placed
