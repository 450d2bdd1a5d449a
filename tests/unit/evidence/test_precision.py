"""Average precision against scikit-learn's."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from shared.evidence.precision import RankedScores


@pytest.mark.parametrize("decimals", [1, 2, 9])  # many ties to none
def test_equals_scikit_learn_under_weights(decimals):
    generator = np.random.default_rng(decimals)
    is_fraud = generator.random(2000) < 0.05
    scores = np.round(generator.random(2000) + is_fraud * 0.4, decimals)
    ranked = RankedScores(scores, is_fraud)
    for weights in (np.ones(2000), generator.poisson(1.0, 2000).astype(float)):
        expected = average_precision_score(is_fraud, scores, sample_weight=weights)
        assert ranked.average_precision(weights) == pytest.approx(expected, abs=1e-12)


def test_by_hand():
    ranked = RankedScores(np.array([0.9, 0.8, 0.7, 0.6]), np.array([True, False, True, False]))
    assert ranked.average_precision(np.ones(4)) == pytest.approx((1 + 2 / 3) / 2)


def test_no_fraud_gives_no_value():
    assert np.isnan(RankedScores(np.array([0.5]), np.array([False])).average_precision(np.ones(1)))
