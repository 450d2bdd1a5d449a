"""Shares: their interval, and the distance between two of them."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt


class Interval(NamedTuple):
    """A confidence interval."""

    lower: float
    upper: float


def wilson_interval(successes: int, trials: int, confidence: float = 0.95) -> Interval | None:
    """Return the score interval of a share, two-sided; None without any trial.

    With p = successes / n and z the normal quantile of (1 + confidence) / 2:
    (p + z^2 / 2n -+ z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n). It keeps its coverage for shares near 0 and 1
    and for few trials. Source: E. B. Wilson, JASA 22 (1927) 209-212; R. G. Newcombe, Statistics in Medicine 17 (1998)
    857-872, method 3.

    Raises:
        ValueError: There are more successes than trials, or a negative number of them.
    """
    if not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes of {trials} trials")
    if trials == 0:
        return None
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = successes / trials
    middle = share + z * z / (2 * trials)
    half = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    # At the ends the bound is the share itself, which rounding would miss.
    lower = 0.0 if successes == 0 else (middle - half) / scale
    upper = 1.0 if successes == trials else (middle + half) / scale
    return Interval(lower, upper)


def cohens_h(share: npt.ArrayLike, reference: npt.ArrayLike) -> npt.NDArray[Any]:
    """Return the signed distance of a share from a reference: 2 asin(sqrt(share)) - 2 asin(sqrt(reference)).

    Its size means the same at every share: 0.2 is small, 0.5 medium, 0.8 large. Ten points are at least 0.2 wherever
    they lie, and more near 0 and 1. Source: J. Cohen, Statistical Power Analysis for the Behavioral Sciences, 2nd ed.
    (1988), chapter 6.

    Args:
        share: Shares, between 0 and 1.
        reference: Shares of the same shape.
    """
    angles = [2 * np.arcsin(np.sqrt(np.asarray(shares, float))) for shares in (share, reference)]
    return np.asarray(angles[0] - angles[1])
