"""The population stability index, by hand and by property."""

import math

import numpy as np
import pytest

from shared.evidence.stability import Bins, population_stability_index


def test_by_hand():
    # Shares 0.5/0.5 against 0.8/0.2; the half row per bin changes a million rows by nothing.
    index = population_stability_index([500_000, 500_000], [800_000, 200_000])
    assert index == pytest.approx(-0.3 * math.log(0.5 / 0.8) + 0.3 * math.log(0.5 / 0.2), abs=1e-5)
    assert index == pytest.approx(0.41589, abs=1e-5)


def test_equal_shares_give_nothing_and_both_directions_give_the_same():
    assert population_stability_index([10, 20, 30], [10, 20, 30]) == pytest.approx(0)
    there = population_stability_index([10, 20, 70], [30, 30, 40])
    back = population_stability_index([30, 30, 40], [10, 20, 70])
    assert there == pytest.approx(back)
    assert there > 0


def test_an_empty_bin_gives_a_large_index_and_not_an_infinite_one():
    assert 1 < population_stability_index([0, 1000], [500, 500]) < 10


def test_half_a_deviation_of_normals_tends_to_a_quarter():
    generator = np.random.default_rng(1)
    reference, shifted = generator.normal(0, 1, 400_000), generator.normal(0.5, 1, 400_000)
    bins = Bins.by_quantiles(reference, bins=100)
    counts = [np.bincount(bins.place(values), minlength=len(bins)) for values in (shifted, reference)]
    assert population_stability_index(*counts) == pytest.approx(0.25, abs=0.01)


def test_bins_of_a_continuous_reference_hold_equal_weight():
    values = np.random.default_rng(2).lognormal(3, 2, 10_000)
    bins = Bins.by_quantiles(values)
    assert len(bins) == 10
    assert np.bincount(bins.place(values)).tolist() == [1000] * 10


def test_weights_move_the_cuts():
    values, weights = np.arange(100.0), np.r_[np.full(50, 3.0), np.full(50, 1.0)]
    assert Bins.by_quantiles(values, weights, bins=2).edges.tolist() == [33.0]


def test_a_value_of_most_rows_has_a_bin_of_its_own():
    values = np.r_[np.full(990, 1.0), np.full(10, 4.0)]
    bins = Bins.by_quantiles(values)
    below, at, above = bins.place(np.array([0.5, 1.0, 1.1]))
    assert below < at < above


def test_nan_lies_in_no_bin():
    bins = Bins.by_quantiles(np.arange(100.0))
    assert bins.place(np.array([np.nan, 0.0, 1e9])).tolist() == [-1, 0, 9]
