"""Each gate fails for its own reason, and says by how much."""

from dataclasses import replace

import numpy as np
import pytest

from functions.train.candidates import Workshop
from functions.train.evaluate import evaluate
from functions.train.gates import check_gates, failed
from functions.train.recipe import CHAMPION
from functions.train.settings import TrainSettings
from shared.scoring.policy import Policy
from tests.support.training import learnable_dataset, make_rows, shuffled

POLICY = Policy(0.8, 0.4)
SETTINGS = TrainSettings(fraud_training_threads=1, fraud_search_trials=0)


def scored(quality=1.0, genuine_alerts=0.0, count=8_000, seed=0):
    """Rows with scores: a share of the fraud far above the threshold, and some of the genuine rows."""
    rng = np.random.default_rng(seed)
    is_fraud = rng.random(count) < 0.05
    high = np.where(is_fraud, rng.random(count) < quality, rng.random(count) < genuine_alerts)
    return np.where(high, 0.9, 0.1) + 0.05 * rng.random(count), make_rows(is_fraud)


def gates(scores, rows, champion=None, mismatches=0, policy=POLICY, settings=SETTINGS):
    made = check_gates(
        evaluate(scores, rows, policy, seed=1),
        scores,
        rows,
        champion_scores=champion,
        parity_mismatches=mismatches,
        settings=settings,
        seed=1,
    )
    return {gate.name: gate for gate in made}


def test_a_good_model_passes_all_gates_and_without_a_champion_there_is_none_to_beat():
    found = gates(*scored(0.9))
    assert all(gate.passed for gate in found.values())
    assert set(found) == {"precision", "recall", "parity"}
    assert failed(list(found.values())) == ""


@pytest.mark.parametrize(("quality", "genuine_alerts", "name"), [(0.9, 0.02, "precision"), (0.4, 0.0, "recall")])
def test_a_gate_fails_by_its_lower_bound_and_says_by_how_much(quality, genuine_alerts, name):
    found = gates(*scored(quality, genuine_alerts))
    assert [gate.name for gate in found.values() if not gate.passed] == [name]
    gate = found[name]
    assert gate.value < gate.bound
    assert f"{gate.bound - gate.value:.4f} more" in gate.message
    assert failed(list(found.values())).startswith(f"{name} gate: ")


def test_a_figure_that_reaches_the_bound_only_by_luck_does_not_pass():
    """Forty alerts with 38 right ones: 0.95 is measured, 0.90 is not proven."""
    is_fraud = np.zeros(4_000, bool)
    is_fraud[:60] = True
    scores = np.full(4_000, 0.1)
    scores[:38] = scores[-2:] = 0.9
    gate = gates(scores, make_rows(is_fraud, card=np.arange(4_000)))["precision"]
    assert not gate.passed
    assert gate.value < 0.9


def test_a_model_that_declines_nothing_or_hardly_anything_has_proven_nothing():
    scores, rows = scored()
    assert "certain enough" in gates(scores, rows, policy=Policy(None, 0.4))["precision"].message
    few = np.where(np.cumsum(rows.is_fraud & (scores > 0.8)) <= 10, scores, 0.1)
    gate = gates(few, rows)["precision"]
    assert not gate.passed
    assert "prove nothing" in gate.message


@pytest.mark.parametrize("worse", ["random", "inverted", "stale"])
def test_a_challenger_worse_than_the_champion_is_refused_for_that(worse):
    scores, rows = scored()
    noise = np.random.default_rng(2).random(len(rows))
    bad = {"random": noise, "inverted": 1 - scores, "stale": np.where(noise < 0.9, scores, 0.1)}[worse]
    gate = gates(bad, rows, champion=scores)["champion"]
    assert not gate.passed
    assert "too low" in gate.message


def test_an_equal_or_better_challenger_is_not():
    scores, rows = scored(0.9)
    assert gates(scores, rows, champion=scores)["champion"].passed
    assert gates(scores, rows, champion=np.random.default_rng(2).random(len(rows)))["champion"].passed


def test_one_value_that_the_history_engine_contradicts_refuses_a_model():
    gate = gates(*scored(), mismatches=1)["parity"]
    assert not gate.passed
    assert "1 feature values differ" in gate.message


def workshop(dataset, **settings):
    return Workshop(dataset, SETTINGS.model_copy(update=settings), 3, "cpu", dataset.count_mismatches())


def test_a_feature_that_peeks_at_the_label_is_caught_by_the_parity_gate():
    """The planted feature makes a perfect model: every other gate is glad of it."""
    honest = learnable_dataset()
    parts = {name: replace(rows, features=rows.features.copy()) for name, rows in honest.parts()}
    for rows in parts.values():
        rows.features[:, 5] = rows.is_fraud
    planted = sum(
        int((rows.features != old.features).sum())
        for rows, (_, old) in zip(parts.values(), honest.parts(), strict=True)
    )
    dataset = replace(honest, **parts, count_mismatches=lambda: planted)
    made = workshop(dataset)
    candidate = made.candidate("challenger", CHAMPION, made.request_only())
    assert candidate.main.evaluation.average_precision > 0.99
    assert [gate.name for gate in candidate.gates if not gate.passed] == ["parity"]
    assert candidate.refusal.startswith("parity gate: ")


def test_learned_from_shuffled_labels_a_model_is_worth_the_base_rate():
    honest = learnable_dataset(2_000)
    parts = {name: shuffled(rows, index) for index, (name, rows) in enumerate(honest.parts())}
    dataset = replace(honest, **parts)
    judged = workshop(dataset).request_only()
    base_rate = dataset.test.is_fraud.mean()
    assert judged.evaluation.average_precision < 1.5 * base_rate
    assert judged.evaluation.metrics["average_precision_lower"] < base_rate


def test_the_same_dataset_and_seed_make_the_same_bundle_with_a_search():
    dataset = learnable_dataset(3_000)

    def make():
        made = workshop(dataset)
        return made.candidate("challenger", CHAMPION, made.request_only(), trials=5).bundle

    assert make() == make()
