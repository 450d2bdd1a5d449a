import dataclasses

import numpy as np
import pytest

from functions.train.dataset import Dataset, Rows
from functions.train.errors import TrainingRefused
from functions.train.fit import CHALLENGER, CHAMPION, REQUEST_ONLY, check_learned, fit
from shared.features.catalogue import CATALOGUE

NAMES = CATALOGUE.names
FLAG = NAMES.index("is_high_risk_merchant")


def rows(seed, count=6_000):
    """Fraud where amounts are large or the card is busy, and often at high-risk merchants."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(count, len(NAMES))).astype(np.float32)
    features[:, FLAG] = rng.random(count) < 0.1
    signal = features[:, 0] + features[:, 1] + 2 * features[:, FLAG] + 0.3 * rng.normal(size=count)
    is_fraud = signal > 3
    nobody = np.full(count, None, dtype=object)
    return Rows(features, is_fraud, rng.integers(0, 300, count), nobody, np.arange(count))


@pytest.fixture(scope="module")
def dataset():
    parts = {name: rows(seed) for seed, name in enumerate(("train", "stopping", "policy", "test"))}
    return Dataset(NAMES, CATALOGUE, label="by hand", digest="0", **parts)


def bits(model):
    return bytes(model.booster.save_raw("ubj"))


@pytest.mark.parametrize("recipe", [CHAMPION, CHALLENGER, REQUEST_ONLY], ids=lambda recipe: recipe.name)
def test_the_same_seed_gives_the_same_model_bit_for_bit_on_any_number_of_threads(recipe, dataset):
    one = fit(recipe, dataset, NAMES, seed=5, threads=1)
    assert bits(one) == bits(fit(recipe, dataset, NAMES, seed=5, threads=1))
    two = fit(recipe, dataset, NAMES, seed=5, threads=2)
    np.testing.assert_array_equal(one.scores(dataset.test), two.scores(dataset.test))
    assert one.booster.get_dump() == two.booster.get_dump()
    assert bits(one) != bits(fit(recipe, dataset, NAMES, seed=6, threads=1))


def test_learning_rates_stay_where_rare_classes_allow():
    for recipe in (CHAMPION, CHALLENGER, REQUEST_ONLY):
        assert recipe.parameters["learning_rate"] <= 0.2


def test_champion_and_challenger_differ(dataset):
    champion, challenger = (fit(recipe, dataset, NAMES, seed=5, threads=1) for recipe in (CHAMPION, CHALLENGER))
    assert champion.parameters["max_depth"] != challenger.parameters["max_depth"]
    assert np.abs(champion.scores(dataset.test) - challenger.scores(dataset.test)).max() > 0.01


def test_a_model_sees_its_own_columns_only(dataset):
    model = fit(REQUEST_ONLY, dataset, CATALOGUE.request_only, seed=5, threads=1)
    assert model.features == CATALOGUE.request_only
    assert model.booster.feature_names == list(CATALOGUE.request_only)
    np.testing.assert_array_equal(
        model.matrix(dataset.test), dataset.test.features[:, [NAMES.index(n) for n in CATALOGUE.request_only]]
    )


def test_growing_stops_when_the_stopping_rows_gain_nothing(dataset):
    noise = dataclasses.replace(
        dataset,
        stopping=dataclasses.replace(
            dataset.stopping, is_fraud=np.random.default_rng(1).permutation(dataset.stopping.is_fraud)
        ),
    )
    assert fit(CHAMPION, noise, NAMES, seed=5, threads=1).booster.num_boosted_rounds() < 100


def test_what_learned_well_passes(dataset):
    figures = check_learned(fit(CHAMPION, dataset, NAMES, seed=5, threads=1), dataset)
    assert figures["train_roc_auc"] > 0.95


def test_a_model_that_learned_nothing_is_refused(dataset):
    blind = fit(CHAMPION, dataset, ("hour_of_day", "is_weekend"), seed=5, threads=1)
    with pytest.raises(TrainingRefused, match="training AUC"):
        check_learned(blind, dataset)


def test_a_model_that_trusts_a_fraudulent_flag_is_refused(dataset):
    """What an overshooting learning rate does: the strongest flag ends with the lowest scores."""
    model = fit(CHAMPION, dataset, NAMES, seed=5, threads=1)

    class Overshot:
        features = model.features
        matrix = staticmethod(model.matrix)

        @staticmethod
        def scores(rows):
            flagged = rows.features[:, FLAG] == 1
            return np.where(flagged, np.where(rows.is_fraud, 0.31, 0.0), np.where(rows.is_fraud, 1.0, 0.3))

    with pytest.raises(TrainingRefused, match="is_high_risk_merchant"):
        check_learned(Overshot(), dataset)
