"""Effect sizes of the difference between two samples, with a bound that does not flatter small ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from functions.drift.quantities import THRESHOLDS, Measure, Quantity
from shared.evidence.bootstrap import GROUPS, Estimate, groups_of, poisson_weights
from shared.evidence.proportions import cohens_h
from shared.evidence.stability import PRIOR, Bins, population_stability_index

Floats = npt.NDArray[np.float64]

DRAWS: Final = 500
SEED: Final = 20
LEAST_KNOWN: Final = 200
"""Below this many known values of a quantity on either side nothing is said of it."""
_HOURS_PER_STRATUM: Final = 6


@dataclass(frozen=True)
class Sample:
    """Scored transactions.

    Attributes:
        columns: By name, [n] each: features and the score as numbers, NaN is missing; decisions as text.
        clusters: What rows belong together, [n]: the card; the row itself where it is unknown.
        hour_of_day: UTC hour of each row, [n].
        is_weekend: Whether it lies on a Saturday or Sunday (UTC), [n].
    """

    columns: Mapping[str, npt.NDArray[Any]]
    clusters: npt.NDArray[Any]
    hour_of_day: npt.NDArray[Any]
    is_weekend: npt.NDArray[Any]

    def __len__(self) -> int:
        return len(self.clusters)

    def take(self, wanted: npt.NDArray[Any]) -> Sample:
        """Return some of the rows, by mask or by index."""
        return Sample(
            {name: values[wanted] for name, values in self.columns.items()},
            self.clusters[wanted],
            self.hour_of_day[wanted],
            self.is_weekend[wanted],
        )

    @property
    def strata(self) -> npt.NDArray[np.int64]:
        """The part of the week of each row: a quarter of the day, on a working day or not."""
        quarter = np.asarray(self.hour_of_day, np.int64) // _HOURS_PER_STRATUM
        return quarter * 2 + np.asarray(self.is_weekend, np.int64)


@dataclass(frozen=True, slots=True)
class Compared:
    """One quantity, compared.

    Attributes:
        name: The quantity.
        measure: How its effect is measured.
        effect: Its size, corrected for the bias of small samples; never negative.
        lower_bound: Lower end of its one-sided interval, over all quantities together.
        threshold: Effect from which it counts as drift.
        reference_rows: Known values in the reference.
        rows: Known values in the window.
    """

    name: str
    measure: Measure
    effect: float
    lower_bound: float
    threshold: float
    reference_rows: int
    rows: int

    @property
    def drifted(self) -> bool:
        """Whether even the lower bound reaches the threshold."""
        return self.lower_bound >= self.threshold


@dataclass(frozen=True)
class Comparison:
    """All quantities of a window.

    Attributes:
        compared: Those that could be compared, the largest effect relative to its threshold first.
        unknown: Names of those with too few known values.
        unmatched_rows: Rows of the window at a part of the week that the reference does not know; they are left out.
    """

    compared: list[Compared] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    unmatched_rows: int = 0

    @property
    def drifted(self) -> list[Compared]:
        """The quantities that drifted."""
        return [one for one in self.compared if one.drifted]


@dataclass(frozen=True)
class _Side:
    """A sample with the weight of each row and its group in the bootstrap."""

    sample: Sample
    weights: Floats
    groups: npt.NDArray[np.int64]
    resamples: Floats

    def tally(self, cells: npt.NDArray[np.int64], size: int) -> tuple[Floats, Floats]:
        """Return the weight per cell, [size], and in each resample, [draws, size]; cell -1 is left out."""
        known = cells >= 0
        weights = self.weights[known]
        flat = np.bincount(self.groups[known] * size + cells[known], weights=weights, minlength=GROUPS * size)
        per_group = flat.reshape(GROUPS, size)
        # Weighted rows tell as much as this many equal ones (Kish 1965), which the half row per bin is held against.
        total = weights.sum()
        scale = total / (weights**2).sum() if total else 1.0
        return per_group.sum(axis=0) * scale, self.resamples @ per_group * scale


def compare(reference: Sample, window: Sample, wanted: Sequence[Quantity], *, error_rate: float = 0.05) -> Comparison:
    """Compare a window with the reference.

    The reference's rows are weighted so that its parts of the week have the window's shares (post-stratification): a
    Sunday, or a stream that began an hour ago, is compared with Sundays or with that hour. Whole clusters are
    resampled. A quantity drifted when the lower bound of its effect reaches its threshold; the bounds of k quantities
    hold together with probability 1 - error_rate, each at error_rate / k (Bonferroni).

    Args:
        reference: What the champion was judged on.
        window: The live rows.
        wanted: What to compare.
        error_rate: Probability that any bound lies above its true effect.
    """
    weights, matched = _calendar_weights(reference.strata, window.strata)
    unmatched = int((~matched).sum())
    window = window.take(matched)
    if not len(window) or not weights.any():
        return Comparison(unknown=[one.name for one in wanted], unmatched_rows=unmatched)
    generator = np.random.default_rng(SEED)
    sides = (
        _Side(window, np.ones(len(window)), groups_of(window.clusters), poisson_weights(generator, DRAWS, GROUPS)),
        _Side(reference, weights, groups_of(reference.clusters), poisson_weights(generator, DRAWS, GROUPS)),
    )
    enough = [one for one in wanted if all(_known(one, side) >= LEAST_KNOWN for side in sides)]
    compared = [_compare(one, *sides, error_rate / len(enough)) for one in enough]
    compared.sort(key=lambda one: -one.effect / one.threshold)
    names = {one.name for one in enough}
    return Comparison(compared, [one.name for one in wanted if one.name not in names], unmatched)


def _calendar_weights(
    reference: npt.NDArray[np.int64], window: npt.NDArray[np.int64]
) -> tuple[Floats, npt.NDArray[np.bool_]]:
    size = int(max(reference.max(initial=0), window.max(initial=0))) + 1
    there, here = (np.bincount(strata, minlength=size).astype(float) for strata in (reference, window))
    ratio = np.divide(here, there, out=np.zeros(size), where=there > 0)
    return ratio[reference], (there > 0)[window]


def _known(quantity: Quantity, side: _Side) -> int:
    values = side.sample.columns[quantity.column]
    counted = side.weights > 0
    if quantity.missing or quantity.equals is not None:
        return int(counted.sum())
    return int((~np.isnan(values) & counted).sum())


def _compare(quantity: Quantity, window: _Side, reference: _Side, error_rate: float) -> Compared:
    if quantity.measure is Measure.STABILITY:
        known = reference.sample.columns[quantity.column]
        counted = ~np.isnan(known) & (reference.weights > 0)
        bins = Bins.by_quantiles(known[counted], reference.weights[counted])
        cells, size = [bins.place(side.sample.columns[quantity.column]) for side in (window, reference)], len(bins)
        statistic: Callable[[Floats, Floats], Floats] = population_stability_index
    else:
        cells, size = [_counted(quantity, side.sample) for side in (window, reference)], 2
        statistic = _share_distance
    here, there = window.tally(cells[0], size), reference.tally(cells[1], size)
    estimate = Estimate.of(float(statistic(here[0], there[0])), statistic(here[1], there[1]))
    if quantity.measure is Measure.STABILITY:  # a divergence: what the correction puts below zero is none
        estimate = Estimate(max(estimate.value, 0.0), estimate.error)
    else:
        # No bootstrap varies a count of none; the variance of 2 asin(sqrt(share)) is 1 / n at every share (Cohen).
        least_error = math.sqrt(1 / here[0].sum() + 1 / there[0].sum())
        estimate = Estimate(abs(estimate.value), max(estimate.error, least_error))
    return Compared(
        name=quantity.name,
        measure=quantity.measure,
        effect=estimate.value,
        lower_bound=estimate.lower(error_rate),
        threshold=THRESHOLDS[quantity.measure],
        reference_rows=_known(quantity, reference),
        rows=_known(quantity, window),
    )


def _counted(quantity: Quantity, sample: Sample) -> npt.NDArray[np.int64]:
    """Return 1 for rows that the share counts, 0 for the others, -1 for rows that say nothing."""
    values = sample.columns[quantity.column]
    if quantity.equals is not None:
        return np.asarray(values == quantity.equals, np.int64)
    missing = np.isnan(values)
    if quantity.missing:
        return np.asarray(missing, np.int64)
    return np.asarray(np.where(missing, -1, values > 0.5), np.int64)


def _share_distance(counts: Floats, reference: Floats) -> Floats:
    """Return Cohen's h of the second cell's share, half a row added to each cell as for the stability index."""
    here, there = ((side[..., 1] + PRIOR) / (side.sum(axis=-1) + 2 * PRIOR) for side in (counts, reference))
    return np.asarray(cohens_h(here, there))
