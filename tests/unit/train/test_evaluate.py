import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from functions.train.dataset import Rows
from functions.train.evaluate import _Ranking, evaluate
from shared.scoring.policy import Policy

POLICY = Policy(0.8, 0.4)


def rows(scores_of_fraud=0.6, count=4_000, seed=0):
    rng = np.random.default_rng(seed)
    is_fraud = rng.random(count) < 0.05
    scores = np.clip(rng.normal(0.2, 0.2, count) + scores_of_fraud * is_fraud, 0, 1).round(2)
    pattern = np.where(is_fraud, np.where(np.arange(count) % 2 == 0, "spree", "testing"), None)
    made = Rows(np.zeros((count, 1), np.float32), is_fraud, rng.integers(0, 500, count), pattern, np.arange(count))
    return scores, made


@pytest.mark.parametrize("seed", range(5))
def test_weighted_average_precision_is_scikit_learns(seed):
    scores, made = rows(seed=seed)
    weights = np.random.default_rng(seed).poisson(1.0, len(made))
    wanted = average_precision_score(made.is_fraud, scores, sample_weight=weights)
    assert _Ranking(scores, made.is_fraud).average_precision(weights) == pytest.approx(wanted, abs=1e-12)


def test_without_fraud_there_is_no_average_precision():
    assert np.isnan(_Ranking(np.ones(3), np.zeros(3, bool)).average_precision(np.ones(3, np.int64)))


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
    shuffled = Rows(
        made.features,
        np.random.default_rng(3).permutation(made.is_fraud),
        made.card,
        made.pattern,
        made.event_time_ms,
    )
    assert evaluate(scores, shuffled, POLICY, seed=1).average_precision == pytest.approx(0.05, abs=0.03)
