"""The bootstrap's bias correction, errors and clusters."""

import numpy as np
import pytest

from shared.evidence.bootstrap import Estimate, groups_of, poisson_weights


def test_rows_of_a_cluster_stay_together():
    cards = np.array(["a", "b", "a", "c", "b"])
    groups = groups_of(cards)
    assert groups[0] == groups[2]
    assert groups[1] == groups[4]
    assert len(set(groups.tolist())) == 3
    assert groups_of(np.arange(5000)).max() == 511


def test_the_error_of_a_mean_is_the_textbooks():
    generator = np.random.default_rng(3)
    values = generator.normal(0, 2, 400)
    weights = poisson_weights(generator, 4000, 400)
    estimate = Estimate.of(values.mean(), (weights @ values) / weights.sum(axis=1))
    assert estimate.error == pytest.approx(values.std() / 20, rel=0.05)
    assert estimate.value == pytest.approx(values.mean(), abs=0.02)


def test_clusters_that_repeat_themselves_widen_the_error():
    generator = np.random.default_rng(4)
    per_card = generator.normal(0, 1, 50)
    values, cards = np.repeat(per_card, 20), np.repeat(np.arange(50), 20)
    weights = poisson_weights(generator, 3000, 50)[:, groups_of(cards)]
    estimate = Estimate.of(values.mean(), (weights @ values) / weights.sum(axis=1))
    assert estimate.error == pytest.approx(per_card.std() / 50**0.5, rel=0.1)


def test_the_bias_is_taken_off():
    # The square of a mean overstates the square of the expectation by its variance, here 1/100.
    generator = np.random.default_rng(5)
    corrected, plain = [], []
    for _ in range(300):
        values = generator.normal(0, 1, 100)
        weights = poisson_weights(generator, 300, 100)
        corrected.append(Estimate.of(values.mean() ** 2, ((weights @ values) / weights.sum(axis=1)) ** 2).value)
        plain.append(values.mean() ** 2)
    assert np.mean(plain) == pytest.approx(0.01, abs=0.003)
    assert np.mean(corrected) == pytest.approx(0.0, abs=0.003)


def test_bounds_are_normal_quantiles():
    estimate = Estimate(1.0, 0.5)
    assert estimate.lower(0.025) == pytest.approx(1 - 1.959964 * 0.5)
    assert estimate.upper(0.025) == pytest.approx(1 + 1.959964 * 0.5)
