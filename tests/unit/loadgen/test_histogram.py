import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.loadgen.histogram import RELATIVE_ERROR, Histogram


def histogram_of(values: list[int]) -> Histogram:
    histogram = Histogram()
    histogram.add(np.array(values, np.int64))
    return histogram


def test_nothing_recorded_has_no_percentile() -> None:
    assert Histogram().percentile(50) is None
    assert Histogram().mean is None


@given(
    st.lists(st.integers(1, 2**42), min_size=1, max_size=200),
    st.sampled_from([0.1, 1.0, 50.0, 90.0, 99.0, 99.9, 100.0]),
)
def test_percentile_is_the_nearest_rank_within_the_stated_error(values: list[int], percent: float) -> None:
    exact = int(np.percentile(values, percent, method="inverted_cdf"))
    found = histogram_of(values).percentile(percent)
    assert found is not None
    assert abs(found - exact) <= exact * RELATIVE_ERROR + 1


@given(st.lists(st.lists(st.integers(1, 10**10), max_size=30), min_size=1, max_size=5))
def test_adding_in_parts_is_adding_at_once(parts: list[list[int]]) -> None:
    whole = histogram_of([value for part in parts for value in part])
    pieces = Histogram()
    for part in parts:
        pieces.add(np.array(part, np.int64))
    assert pieces.count == whole.count
    assert pieces.largest == whole.largest
    assert pieces.mean == whole.mean
    assert [pieces.percentile(p) for p in (50, 99, 100)] == [whole.percentile(p) for p in (50, 99, 100)]


def test_largest_is_exact_and_bounds_the_percentiles() -> None:
    histogram = histogram_of([1_000_003])
    assert histogram.largest == 1_000_003
    assert histogram.percentile(100) is not None
    assert histogram.percentile(100) <= 1_000_003


def test_values_out_of_range_count_at_the_ends() -> None:
    histogram = histogram_of([-5, 0, 2**60])
    assert histogram.count == 3
    assert histogram.percentile(1) == 1
    assert histogram.percentile(100) == pytest.approx(2**43, rel=RELATIVE_ERROR)
