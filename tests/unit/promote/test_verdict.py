"""Bad challengers are refused by the right reason, a better one is promoted: simulated streams, real statistics."""

import dataclasses

import numpy as np
import pytest

from functions.promote.evidence import Opinions, Pairs, money_saved, weigh
from functions.promote.verdict import Background, Rules, document, judge

ROWS = 60_000
COST = 500.0


def stream(seed=1, rows=ROWS):
    """Fraud with a signal that models see more or less of; cards of five transactions."""
    generator = np.random.default_rng(seed)
    is_fraud = generator.random(rows) < 0.01
    signal = generator.normal(0, 1, rows) + 3.0 * is_fraud
    return generator, is_fraud, signal


def opinions(score):
    """The highest 1 % is alerted on."""
    review, decline = np.quantile(score, [0.99, 0.995])
    return Opinions(score, np.select([score >= decline, score >= review], ["decline", "review"], "approve"))


def probability(margin):
    return 1 / (1 + np.exp(4 - margin))


def pairs(challenger_score, champion_score, is_fraud, generator, *, matured=True):
    rows = len(is_fraud)
    return Pairs(
        champion=opinions(champion_score),
        challenger=opinions(challenger_score),
        card=np.arange(rows) // 5,
        amount=np.round(generator.lognormal(8, 1, rows)),
        is_fraud=is_fraud & matured,
        matured=np.full(rows, matured),
        weight=np.ones(rows),
    )


def verdict(kind, *, background=None, rows=ROWS, seed=1):
    generator, is_fraud, signal = stream(seed, rows)
    champion = probability(signal + generator.normal(0, 0.8, rows))
    score = {
        "random": generator.random(rows),
        "inverted": 1 - champion,
        # Never learned the half of the patterns that began after its data ended.
        "stale": probability(np.where(is_fraud & (np.arange(rows) % 2 == 0), signal - 3, signal)),
        # Noise that it took for signal.
        "overfitted": probability(signal + generator.normal(0, 2.5, rows)),
        "better": probability(signal),
        "equal": probability(signal + generator.normal(0, 0.8, rows)),
    }[kind]
    evidence = weigh(pairs(score, champion, is_fraud, generator), COST)
    return judge(evidence, background or Background(), Rules()), evidence


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("kind", "background", "reason"),
    [
        ("random", Background(), "no better than chance"),
        ("inverted", Background(), "run the wrong way"),
        (
            "stale",
            Background(cut=("2026-02-01T00:00:00.000Z", "2025-11-01T00:00:00.000Z")),
            "stale: it knows data up to",
        ),
        ("overfitted", Background(promised=(0.75, 0.97)), "overfitted: its training promised average precision 0.97"),
    ],
)
def test_a_bad_challenger_is_rejected_by_the_right_reason(kind, background, reason, seed):
    found, _ = verdict(kind, background=background, seed=seed)
    assert found.decision == "rejected"
    assert found.reasons[0].startswith(reason) or reason in found.reasons[0]
    assert "average precision worse" in " ".join(found.reasons)


@pytest.mark.parametrize("seed", range(3))
def test_a_better_challenger_is_promoted(seed):
    found, _ = verdict("better", seed=seed)
    assert found.decision == "promoted", found.reasons
    assert found.reasons[0].startswith("average precision better: +")


@pytest.mark.parametrize("seed", range(3))
def test_an_equal_challenger_is_kept(seed):
    found, _ = verdict("equal", seed=seed)
    assert found.decision == "kept", found.reasons


def test_a_better_challenger_is_kept_while_the_engines_disagree():
    found, _ = verdict("better", background=Background(parity_mismatches=3))
    assert found.decision == "kept"
    assert found.reasons[0].startswith("3 feature values differ between the engines")
    assert verdict("better", background=Background(parity_mismatches=0))[0].decision == "promoted"


def test_few_frauds_decide_nothing():
    found, evidence = verdict("random", rows=2_000)
    assert evidence.matured.frauds < 50
    assert (found.decision, len(found.reasons)) == ("kept", 1)
    assert "matured frauds among 2000 transactions" in found.reasons[0]


def test_without_labels_there_is_agreement_and_no_more():
    generator, is_fraud, signal = stream()
    evidence = weigh(pairs(generator.random(ROWS), probability(signal), is_fraud, generator, matured=False), COST)
    assert evidence.matured is None
    assert judge(evidence, Background(), Rules()).decision == "kept"
    told = document(evidence)
    # A useless model agrees on nearly all traffic, and on next to no alert.
    assert told["agreement"]["percent"] > 97
    assert told["alert_agreement"]["percent"] < 5
    assert told["alert_agreement"]["lower"] < told["alert_agreement"]["percent"] < told["alert_agreement"]["upper"]
    assert told["score_stability"] > 0.25


def test_no_row_at_all_is_no_evidence():
    nothing = np.array([])
    none = Opinions(nothing, nothing.astype(str))
    empty = nothing.astype(bool)
    evidence = weigh(Pairs(none, none, nothing, nothing, empty, empty, nothing), COST)
    assert judge(evidence, Background(), Rules()).decision == "kept"
    assert document(evidence)["agreement"] == {"of": 0, "percent": None, "lower": None, "upper": None}


def test_money_saved_by_hand():
    seen = Opinions(np.zeros(4), np.array(["decline", "approve", "review", "approve"]))
    saved = money_saved(seen, np.array([900.0, 900.0, 50.0, 50.0]), np.array([True, True, False, False]), 200.0)
    assert saved.tolist() == [900.0, 0.0, -200.0, 0.0]


def test_dear_false_alarms_reject_a_model_that_finds_more():
    _, is_fraud, signal = stream()
    champion, score = opinions(probability(signal)), probability(signal)
    eager = Opinions(score, np.where(score >= np.quantile(score, 0.8), "review", "approve"))
    both = Pairs(
        champion, eager, np.arange(ROWS), np.full(ROWS, 1_000.0), is_fraud, np.ones(ROWS, bool), np.ones(ROWS)
    )  # fmt: skip
    found = judge(weigh(both, 2_000.0), Background(), Rules())
    assert found.decision == "rejected"
    assert "money saved worse" in " ".join(found.reasons)


def test_a_card_that_repeats_itself_is_no_more_evidence():
    generator, is_fraud, signal = stream(rows=10_000)
    champion = probability(signal + generator.normal(0, 0.8, 10_000))
    once = dataclasses.replace(pairs(probability(signal), champion, is_fraud, generator), card=np.arange(10_000))
    again = np.repeat(np.arange(10_000), 4)
    repeated = Pairs(
        champion=once.champion.take(again),
        challenger=once.challenger.take(again),
        **{name: getattr(once, name)[again] for name in ("card", "amount", "is_fraud", "matured", "weight")},
    )
    errors = [weigh(one, COST).matured for one in (once, repeated)]
    assert errors[1].saved_gain.error == pytest.approx(errors[0].saved_gain.error, rel=0.1)
    assert errors[1].precision_gain.error == pytest.approx(errors[0].precision_gain.error, rel=0.1)
