import numpy as np
import pytest

from functions.train.calibrate import calibrated, choose_calibration, fit_isotonic, fit_platt
from shared.scoring.calibration import Isotonic, Platt


def sample(curve, count=40_000, seed=0):
    """Margins of rows whose chance to be fraud is `curve` of the margin."""
    rng = np.random.default_rng(seed)
    margins = rng.normal(-2, 2, count)
    return margins, rng.random(count) < curve(margins), rng.integers(0, 4_000, count), np.ones(count)


def logistic(margins):
    return 1 / (1 + np.exp(-(0.5 * margins - 1)))


def stepped(margins):
    return np.where(margins > 0, 0.6, 0.02)


@pytest.mark.parametrize(("curve", "kind"), [(logistic, Platt), (stepped, Isotonic)])
def test_the_method_that_fits_the_rows_is_taken(curve, kind):
    chosen = choose_calibration(*sample(curve), seed=1)
    assert isinstance(chosen.calibration, kind)
    assert chosen.losses[kind.__name__.lower()] == min(chosen.losses.values())


@pytest.mark.parametrize("curve", [logistic, stepped])
def test_scores_are_the_share_of_fraud_among_rows_like_them(curve):
    chosen = choose_calibration(*sample(curve), seed=1)
    margins, is_fraud, _, _ = sample(curve, seed=9)
    scores = calibrated(chosen.calibration, margins)
    for low, high in ((0.0, 0.1), (0.1, 0.4), (0.4, 1.0)):
        inside = (scores >= low) & (scores < high)
        if inside.sum() > 500:
            assert is_fraud[inside].mean() == pytest.approx(scores[inside].mean(), abs=0.03)


def test_the_order_of_the_margins_is_kept_and_no_score_is_certain():
    margins, is_fraud, _, weight = sample(logistic, count=2_000)
    for fitted in (fit_isotonic(margins, is_fraud, weight), fit_platt(margins, is_fraud, weight)):
        scores = calibrated(fitted, np.sort(margins))
        assert (np.diff(scores) >= 0).all()
        assert scores[0] > 0
        assert scores[-1] < 1


def test_weights_count_as_rows():
    margins, is_fraud, _, _ = sample(logistic, count=4_000)
    weight = np.where(is_fraud, 5.0, 1.0)
    repeated = np.repeat(np.arange(len(margins)), weight.astype(int))
    weighted = fit_platt(margins, is_fraud, weight)
    counted = fit_platt(margins[repeated], is_fraud[repeated], np.ones(len(repeated)))
    assert weighted.slope == pytest.approx(counted.slope, rel=1e-3)
    assert weighted.intercept == pytest.approx(counted.intercept, rel=1e-3)
