"""Shares, against published tables and by property."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.evidence.proportions import cohens_h, wilson_interval


@pytest.mark.parametrize(
    ("successes", "trials", "lower", "upper"),
    [  # Newcombe 1998, table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_intervals_are_those_of_the_published_table(successes, trials, lower, upper):
    interval = wilson_interval(successes, trials)
    assert (round(interval.lower, 4), round(interval.upper, 4)) == (lower, upper)


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_intervals_hold_their_share_and_mirror(pair):
    successes, trials = pair
    interval = wilson_interval(successes, trials)
    mirrored = wilson_interval(trials - successes, trials)
    assert 0 <= interval.lower <= successes / trials <= interval.upper <= 1
    assert interval.lower == pytest.approx(1 - mirrored.upper)


def test_no_trial_gives_no_interval_and_nonsense_is_refused():
    assert wilson_interval(0, 0) is None
    with pytest.raises(ValueError, match="3 successes of 2"):
        wilson_interval(3, 2)


def test_cohens_h_by_hand():
    assert cohens_h(0.25, 0.0) == pytest.approx(math.pi / 3)  # asin(sqrt(1/4)) is 30 degrees
    assert cohens_h(1.0, 0.0) == pytest.approx(math.pi)
    assert cohens_h(0.4, 0.4) == 0


@given(st.floats(0, 0.9))
def test_ten_points_are_at_least_a_small_effect_wherever_they_lie(share):
    assert cohens_h(share + 0.1, share) >= 0.2
    assert np.sign(cohens_h(share, share + 0.1)) == -1
