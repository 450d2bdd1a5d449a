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

ERROR_RATE: Final = 0.1
"""Probability that any lower bound of a window lies above its true effect. A stream without drift has effects of 0, far
below the thresholds, so its false alarms are rarer by orders."""
DRAWS: Final = 500
SEED: Final = 20
LEAST_KNOWN: Final = 200
"""Below this many known values of a quantity on either side nothing is said of it."""
_HOURS_PER_STRATUM: Final = 6


@dataclass(frozen=True)
class Sample:
    """Scored transactions.

    Attributes:
        columns: By name, [n] each: features and the score as numbers, NaN is missing; decisions as text, empty where
            another model decided.
        clusters: What rows belong together, [n]: the card; the row itself where it is unknown.
        merchants: The same for features of the merchant, which are alike in all rows of one merchant, [n].
        hour_of_day: UTC hour of each row, [n].
        is_weekend: Whether it lies on a Saturday or Sunday (UTC), [n].
        age_ms: How old the stream was at each row, [n]: features that look back further say nothing there.
        weight: How many transactions a row stands for, [n].
    """

    columns: Mapping[str, npt.NDArray[Any]]
    clusters: npt.NDArray[Any]
    merchants: npt.NDArray[Any]
    hour_of_day: npt.NDArray[Any]
    is_weekend: npt.NDArray[Any]
    age_ms: npt.NDArray[np.int64]
    weight: Floats

    def __len__(self) -> int:
        return len(self.clusters)

    def take(self, wanted: npt.NDArray[Any]) -> Sample:
        """Return some of the rows, by mask or by index."""
        return Sample(
            {name: values[wanted] for name, values in self.columns.items()},
            self.clusters[wanted],
            self.merchants[wanted],
            self.hour_of_day[wanted],
            self.is_weekend[wanted],
            self.age_ms[wanted],
            self.weight[wanted],
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
        immature: Names of those that look back further than the stream is old.
        unknown: Names of those with too few known values.
        unmatched_rows: Rows of the window at a part of the week that the reference does not know; they are left out.
    """

    compared: list[Compared] = field(default_factory=list)
    immature: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    unmatched_rows: int = 0

    @property
    def drifted(self) -> list[Compared]:
        """The quantities that drifted."""
        return [one for one in self.compared if one.drifted]


@dataclass(frozen=True)
class _Side:
    """A sample with the weight of each row and its group in the bootstrap, by card and by merchant."""

    sample: Sample
    weights: Floats
    card_groups: npt.NDArray[np.int64]
    merchant_groups: npt.NDArray[np.int64]
    resamples: Floats

    @classmethod
    def of(cls, sample: Sample, weights: Floats, generator: np.random.Generator) -> _Side:
        resamples = poisson_weights(generator, DRAWS, GROUPS)
        return cls(sample, weights, groups_of(sample.clusters), groups_of(sample.merchants), resamples)

    def cells(self, quantity: Quantity, bins: Bins | None = None) -> npt.NDArray[np.int64]:
        """Return the cell of each row: the bin, or without bins 1 for what a share counts and 0 for the rest.

        It is -1 where the row says nothing of the quantity.
        """
        values = self.sample.columns[quantity.column]
        if bins is not None:
            cells = bins.place(values)
        elif quantity.equals is not None:
            cells = np.where(values == "", -1, values == quantity.equals)
        elif quantity.missing:
            cells = np.isnan(values).astype(np.int64)
        else:
            cells = np.where(np.isnan(values), -1, values > 0.5)
        return np.where(self.old_enough(quantity) & (self.weights > 0), cells, -1)

    def old_enough(self, quantity: Quantity) -> npt.NDArray[np.bool_]:
        """Return the rows before which the stream was as old as the quantity looks back."""
        return np.asarray(self.sample.age_ms >= quantity.look_back_ms)

    def tally(self, quantity: Quantity, bins: Bins | None) -> tuple[Floats, Floats]:
        """Return the weight per cell, [cells], and in each resample, [draws, cells]."""
        size = 2 if bins is None else len(bins)
        cells = self.cells(quantity, bins)
        groups = self.merchant_groups if quantity.of_merchant else self.card_groups
        known = cells >= 0
        weights = self.weights[known]
        flat = np.bincount(groups[known] * size + cells[known], weights=weights, minlength=GROUPS * size)
        per_group = flat.reshape(GROUPS, size)
        # Weighted rows tell as much as this many equal ones (Kish 1965), which the half row per bin is held against.
        total = weights.sum()
        scale = total / (weights**2).sum() if total else 1.0
        return per_group.sum(axis=0) * scale, self.resamples @ per_group * scale


def compare(
    reference: Sample, window: Sample, wanted: Sequence[Quantity], *, error_rate: float = ERROR_RATE
) -> Comparison:
    """Compare a window with the reference.

    The reference's rows are weighted so that its parts of the week have the window's shares (post-stratification): a
    Sunday, or a stream that began an hour ago, is compared with Sundays or with that hour. Whole cards are resampled,
    or whole merchants for features of the merchant. A quantity drifted when the lower bound of its effect reaches its
    threshold; the bounds of k quantities hold together with probability 1 - error_rate, each at error_rate / k
    (Bonferroni).

    Args:
        reference: What the champion was judged on.
        window: The live rows.
        wanted: What to compare.
        error_rate: Probability that any bound lies above its true effect.
    """
    weights, matched = _calendar_weights(reference, window)
    unmatched = int((~matched).sum())
    window = window.take(matched)
    generator = np.random.default_rng(SEED)
    sides = (_Side.of(window, window.weight, generator), _Side.of(reference, weights, generator))
    mature = [one for one in wanted if all(side.old_enough(one).any() for side in sides)]
    enough = [one for one in mature if all(_known(one, side) >= LEAST_KNOWN for side in sides)]
    compared = [_compare(one, *sides, error_rate / len(enough)) for one in enough]
    compared.sort(key=lambda one: -one.effect / one.threshold)
    return Comparison(
        compared,
        immature=[one.name for one in wanted if one not in mature],
        unknown=[one.name for one in mature if one not in enough],
        unmatched_rows=unmatched,
    )


def _calendar_weights(reference: Sample, window: Sample) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Return the reference's weights, and which rows of the window lie in a part of the week that it knows."""
    strata = reference.strata, window.strata
    size = int(max(one.max(initial=0) for one in strata)) + 1
    there, here = (
        np.bincount(one, weights=sample.weight, minlength=size)
        for one, sample in zip(strata, (reference, window), strict=True)
    )
    ratio = np.divide(here, there, out=np.zeros(size), where=there > 0)
    return ratio[strata[0]] * reference.weight, (there > 0)[strata[1]]


def _known(quantity: Quantity, side: _Side) -> int:
    values = side.sample.columns[quantity.column]
    ignored = np.isnan(values) if quantity.measure is Measure.STABILITY else side.cells(quantity) < 0
    return int((side.old_enough(quantity) & (side.weights > 0) & ~ignored).sum())


def _compare(quantity: Quantity, window: _Side, reference: _Side, error_rate: float) -> Compared:
    bins = None
    statistic: Callable[[Floats, Floats], Floats] = _share_distance
    if quantity.measure is Measure.STABILITY:
        values = reference.sample.columns[quantity.column]
        counted = ~np.isnan(values) & (reference.weights > 0) & reference.old_enough(quantity)
        bins = Bins.by_quantiles(values[counted], reference.weights[counted])
        statistic = population_stability_index
    here, there = (side.tally(quantity, bins) for side in (window, reference))
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


def _share_distance(counts: Floats, reference: Floats) -> Floats:
    """Return Cohen's h of the second cell's share, half a row added to each cell as for the stability index."""
    here, there = ((side[..., 1] + PRIOR) / (side.sum(axis=-1) + 2 * PRIOR) for side in (counts, reference))
    return np.asarray(cohens_h(here, there))
