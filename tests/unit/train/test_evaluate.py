import dataclasses

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from functions.train.evaluate import card_precision, evaluate
from functions.train.ranking import Ranking, paired_gain
from functions.train.rows import DAY_MS
from shared.scoring.policy import Policy
from tests.support.training import make_rows, shuffled

POLICY = Policy(0.8, 0.4)


def rows(scores_of_fraud=0.6, count=4_000, seed=0):
    rng = np.random.default_rng(seed)
    is_fraud = rng.random(count) < 0.05
    scores = np.clip(rng.normal(0.2, 0.2, count) + scores_of_fraud * is_fraud, 0, 1).round(2)
    pattern = np.where(is_fraud, np.where(np.arange(count) % 2 == 0, "spree", "testing"), None)
    made = make_rows(is_fraud, card=rng.integers(0, 500, count), pattern=pattern)
    return scores, made


@pytest.mark.parametrize("seed", range(5))
def test_weighted_average_precision_is_scikit_learns(seed):
    scores, made = rows(seed=seed)
    weights = np.random.default_rng(seed).poisson(1.0, len(made))
    wanted = average_precision_score(made.is_fraud, scores, sample_weight=weights)
    assert Ranking(scores, made.is_fraud).average_precision(weights) == pytest.approx(wanted, abs=1e-12)


def test_without_fraud_there_is_no_average_precision():
    assert np.isnan(Ranking(np.ones(3), np.zeros(3, bool)).average_precision(np.ones(3, np.int64)))


def test_figures_at_the_thresholds_are_counted_right():
    scores, made = rows()
    metrics = evaluate(scores, made, POLICY, seed=1).metrics
    for name, threshold in (("decline", 0.8), ("review", 0.4)):
        flagged = scores >= threshold
        assert metrics[f"precision_{name}"] == pytest.approx(made.is_fraud[flagged].mean())
        assert metrics[f"recall_{name}"] == pytest.approx(flagged[made.is_fraud].mean())
        assert metrics[f"alert_share_{name}"] == pytest.approx(flagged.mean())
    spree = made.pattern == "spree"
    assert metrics["recall_decline_spree"] == pytest.approx((scores[spree] >= 0.8).mean())


def test_intervals_hold_the_figure_and_have_width():
    scores, made = rows()
    metrics = evaluate(scores, made, POLICY, seed=1).metrics
    for name in ("average_precision", "precision_decline", "recall_decline", "precision_review", "recall_review"):
        assert metrics[f"{name}_lower"] < metrics[name] < metrics[f"{name}_upper"]
        assert metrics[f"{name}_upper"] - metrics[f"{name}_lower"] < 0.25


def test_the_same_seed_gives_the_same_figures():
    scores, made = rows()
    assert evaluate(scores, made, POLICY, seed=1) == evaluate(scores, made, POLICY, seed=1)


def test_a_threshold_that_is_none_or_never_reached_has_no_precision():
    scores, made = rows()
    metrics = evaluate(np.minimum(scores, 0.7), made, POLICY, seed=1).metrics
    assert "precision_decline" not in metrics
    assert metrics["recall_decline"] == 0
    assert "recall_decline" not in evaluate(scores, made, Policy(None, 0.4), seed=1).metrics


def test_shuffled_labels_are_worth_the_base_rate():
    scores, made = rows()
    assert evaluate(scores, shuffled(made), POLICY, seed=1).average_precision == pytest.approx(0.05, abs=0.03)


def test_a_row_of_weight_three_counts_as_three_rows():
    scores, made = rows(count=600)
    times = np.random.default_rng(5).integers(1, 4, len(made))
    repeated = np.repeat(np.arange(len(made)), times)
    weighted = evaluate(scores, dataclasses.replace(made, weight=times.astype(float)), POLICY, seed=1).metrics
    counted = evaluate(scores[repeated], made.take(repeated), POLICY, seed=1).metrics
    for name in ("average_precision", "roc_auc", "precision_decline", "recall_review", "alert_share_review"):
        assert weighted[name] == pytest.approx(counted[name])


def test_the_cards_on_top_of_each_day_are_judged_and_found_ones_not_again():
    """Two days; of the two cards looked at, one is found on the first day, so another takes its place on the second."""
    day = np.array([0, 0, 0, 1, 1, 1]) * DAY_MS
    card = np.array([0, 1, 2, 0, 1, 2])
    made = make_rows([True, False, False, True, False, True], card=card, event_time_ms=day)
    scores = np.array([0.9, 0.8, 0.1, 0.9, 0.8, 0.7])
    assert card_precision(scores, made, top=2) == pytest.approx((1 / 2 + 1 / 2) / 2)


def test_the_gain_of_a_model_over_itself_is_nothing_and_over_noise_much():
    scores, made = rows()
    gain, draws = paired_gain(scores, scores, made, seed=1)
    assert gain == 0
    assert not draws.any()
    gain, draws = paired_gain(scores, np.random.default_rng(1).random(len(made)), made, seed=1)
    assert gain > 0.3
    assert draws.min() > 0.2
