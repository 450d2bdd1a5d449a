"""Bootstrap by whole clusters: what an estimate is worth when rows of one card belong together."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
GROUPS = 512


def groups_of(clusters: npt.NDArray[Any], groups: int = GROUPS) -> npt.NDArray[np.int64]:
    """Return a group from 0 to groups - 1 for each row; all rows of a cluster get the same one.

    Resampling a few hundred groups of clusters instead of the clusters keeps the cost of a bootstrap flat, and tells
    the same: groups are as independent of one another as clusters are.

    Args:
        clusters: Card (or any other cluster) of each row.
        groups: How many groups at most.
    """
    numbers: npt.NDArray[np.int64] = np.unique(clusters, return_inverse=True)[1].astype(np.int64)
    return numbers % groups


def poisson_weights(generator: np.random.Generator, draws: int, groups: int) -> Floats:
    """Return the weights of each group in each resample, [draws, groups].

    Independent Poisson(1) weights stand for drawing with replacement. Source: N. Chamandy et al., Estimating
    Uncertainty for Massive Data Streams (Google, 2012).
    """
    return generator.poisson(1.0, (draws, groups)).astype(float)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A statistic, corrected for its bias, with its standard error.

    Attributes:
        value: The corrected estimate.
        error: Its standard error.
    """

    value: float
    error: float

    @classmethod
    def of(cls, observed: float, resampled: Floats) -> Estimate:
        """Judge an observed statistic by its resamples.

        The bias is the resamples' mean minus the observed value, and is taken off it; the standard error is their
        deviation. Source: B. Efron and R. Tibshirani, An Introduction to the Bootstrap (1993), chapters 6 and 10.

        Args:
            observed: The statistic of the sample.
            resampled: The same of each resample, [draws].
        """
        return cls(float(2 * observed - resampled.mean()), float(resampled.std(ddof=1)))

    def lower(self, error_rate: float) -> float:
        """Return the one-sided lower bound that is too high with this probability: the normal interval."""
        return self.value - NormalDist().inv_cdf(1 - error_rate) * self.error

    def upper(self, error_rate: float) -> float:
        """Return the one-sided upper bound that is too low with this probability."""
        return self.value + NormalDist().inv_cdf(1 - error_rate) * self.error
