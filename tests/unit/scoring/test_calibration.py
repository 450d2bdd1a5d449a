import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.scoring.calibration import Identity, Isotonic, Platt, calibration_from, sigmoid

LINE = Isotonic((0.1, 0.5, 0.9), (0.0, 0.2, 1.0))


@pytest.mark.parametrize("margin", [-1e9, -30.0, -1.0, 0.0, 1.0, 30.0, 1e9])
def test_sigmoid_is_the_inverse_of_log_odds(margin):
    probability = sigmoid(margin)
    assert 0 <= probability <= 1
    if abs(margin) < 30:
        assert math.log(probability / (1 - probability)) == pytest.approx(margin)


def test_not_a_number_stays_one():
    assert math.isnan(sigmoid(math.nan))


def test_isotonic_is_the_line_through_its_points():
    def at(probability):
        return LINE.probability(math.log(probability / (1 - probability)))

    assert at(0.05) == 0.0
    assert at(0.3) == pytest.approx(0.1)
    assert at(0.5) == pytest.approx(0.2)
    assert at(0.7) == pytest.approx(0.6)
    assert at(0.95) == 1.0


@pytest.mark.parametrize("calibration", [Identity(), Platt(0.7, -0.3), LINE], ids=lambda c: type(c).__name__)
@given(st.tuples(st.floats(-50, 50), st.floats(-50, 50)))
def test_every_method_keeps_the_order(calibration, margins):
    low, high = sorted(margins)
    assert 0 <= calibration.probability(low) <= calibration.probability(high) <= 1


@pytest.mark.parametrize("calibration", [Identity(), Platt(0.7, -0.3), LINE], ids=lambda c: type(c).__name__)
def test_described_and_read_back(calibration):
    assert calibration_from(calibration.describe()) == calibration


@pytest.mark.parametrize(
    "described",
    [
        {},
        {"method": "spline"},
        {"method": "platt", "slope": -1, "intercept": 0},
        {"method": "platt", "slope": 1},
        {"method": "platt", "slope": True, "intercept": 0},
        {"method": "isotonic", "x": [0.1, 0.1], "y": [0, 1]},
        {"method": "isotonic", "x": [0.1, 0.2], "y": [1, 0]},
        {"method": "isotonic", "x": [0.1, 0.2], "y": [0, 2]},
        {"method": "isotonic", "x": [], "y": []},
        {"method": "isotonic", "x": "ab", "y": [0, 1]},
        {"method": "identity", "slope": 1},
    ],
)
def test_a_map_that_is_not_monotone_or_known_is_refused(described):
    with pytest.raises((TypeError, ValueError)):
        calibration_from(described)
