import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.train.thresholds import LEAST_ALERTS, choose_policy


def rows(seed, count=20_000, frauds=200, separation=3.0, per_card=10):
    """Scores that separate fraud from genuine rows more or less, several rows per card."""
    rng = np.random.default_rng(seed)
    is_fraud = np.zeros(count, bool)
    is_fraud[rng.choice(count, frauds, replace=False)] = True
    margin = rng.normal(size=count) + separation * is_fraud - 4
    return np.round(1 / (1 + np.exp(-margin)), 7), is_fraud, rng.integers(0, count // per_card, count)


def choose(scores, is_fraud, card, least_precision=0.9, alert_budget=0.01, seed=1):
    weight = np.ones(len(scores))
    return choose_policy(
        scores, is_fraud, card, weight, least_precision=least_precision, alert_budget=alert_budget, seed=seed
    )


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(2.0, 8.0), st.sampled_from([0.5, 0.8, 0.9]))
def test_declining_keeps_the_precision_with_room_to_spare(seed, separation, least_precision):
    scores, is_fraud, card = rows(seed, separation=separation)
    policy = choose(scores, is_fraud, card, least_precision)
    if policy.decline_at is None:
        return
    declined = scores >= policy.decline_at
    assert declined.sum() >= LEAST_ALERTS
    assert is_fraud[declined].mean() > least_precision, "a lower bound lies below the figure itself"


def test_the_bound_holds_on_rows_of_the_same_kind():
    """Thresholds chosen on one sample keep the precision on another in nearly all cases."""
    kept = []
    for seed in range(40):
        policy = choose(*rows(seed, separation=5.0), seed=seed)
        scores, is_fraud, _ = rows(1_000 + seed, count=100_000, frauds=1_000, separation=5.0)
        assert policy.decline_at is not None
        kept.append(is_fraud[scores >= policy.decline_at].mean() >= 0.9)
    assert np.mean(kept) >= 0.85


def test_without_a_precise_threshold_nothing_is_declined():
    policy = choose(*rows(3, separation=0.2))
    assert policy.decline_at is None
    assert policy.review_at is not None


def test_a_few_lucky_rows_prove_nothing():
    scores = np.linspace(0.9, 0.01, 5_000)
    is_fraud = np.arange(5_000) < LEAST_ALERTS - 10
    assert choose(scores, is_fraud, np.arange(5_000)).decline_at is None


def test_frauds_of_one_card_are_one_piece_of_evidence():
    """Sixty declined rows, 92 % fraud: proof when they are sixty cards' and none when they are three cards'."""
    scores = np.concatenate([np.linspace(0.99, 0.9, 200), np.linspace(0.1, 0.01, 5_000)])
    is_fraud = np.zeros(len(scores), bool)
    is_fraud[:200] = np.arange(200) % 20 != 7  # 95 %
    many = np.arange(len(scores))
    few = np.where(many < 200, many % 20 // 7, many)
    assert choose(scores, is_fraud, many).decline_at is not None
    assert choose(scores, is_fraud, few).decline_at is None


@pytest.mark.parametrize("budget", [0.001, 0.01, 0.05])
def test_alerts_stay_within_the_budget(budget):
    scores, is_fraud, card = rows(5)
    policy = choose(scores, is_fraud, card, alert_budget=budget)
    share = (scores >= min(policy.review_at, policy.decline_at or 1.0)).mean()
    assert share <= budget or policy.review_at == policy.decline_at
    assert share > 0.5 * budget


def test_ties_are_taken_or_left_together():
    scores = np.concatenate([np.full(100, 0.9), np.full(100, 0.8), np.full(9_800, 0.01)])
    is_fraud = np.concatenate([np.ones(100), np.arange(100) < 50, np.zeros(9_800)]).astype(bool)
    policy = choose(scores, is_fraud, np.arange(10_000))
    assert 0.8 < policy.decline_at <= 0.9


def test_the_same_seed_chooses_the_same():
    assert choose(*rows(6)) == choose(*rows(6))


@pytest.mark.parametrize("gap", [1, 2, 3, 7])
@pytest.mark.parametrize("upper", [0.1234567, 0.1234565, 0.1234560, 0.9999999, 0.0000008, 1.0])
def test_a_threshold_parts_scores_however_close_they_lie(upper, gap):
    """Scores carry seven decimals: one rounded to fewer could take rows below, or leave out rows it was proven on."""
    lower = round(upper - gap * 1e-7, 7)
    scores = np.repeat([upper, lower], [50, 950])
    policy = choose(scores, scores == upper, np.arange(1_000), alert_budget=0.05)
    assert lower < policy.decline_at <= upper
    assert lower < policy.review_at <= upper


def test_a_threshold_is_round_where_there_is_room():
    scores = np.repeat([0.8123457, 0.2123457], [50, 950])
    policy = choose(scores, scores > 0.5, np.arange(1_000), alert_budget=0.05)
    assert (policy.decline_at, policy.review_at) == (0.512346, 0.512346)
