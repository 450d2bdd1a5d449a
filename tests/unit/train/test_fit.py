import dataclasses

import numpy as np
import pytest

from functions.train.errors import TrainingRefused
from functions.train.fit import check_learned, fit
from functions.train.recipe import CHALLENGER, CHAMPION, REQUEST_ONLY
from shared.features.catalogue import CATALOGUE
from tests.support.training import FLAG, NAMES, learnable_dataset, shuffled


@pytest.fixture(scope="module")
def dataset():
    return learnable_dataset()


def bits(model):
    return bytes(model.booster.save_raw("ubj"))


@pytest.mark.parametrize("recipe", [CHAMPION, CHALLENGER, REQUEST_ONLY], ids=lambda recipe: recipe.name)
def test_the_same_seed_gives_the_same_model_bit_for_bit_on_any_number_of_threads(recipe, dataset):
    one = fit(recipe, dataset, NAMES, seed=5, threads=1)
    assert bits(one) == bits(fit(recipe, dataset, NAMES, seed=5, threads=1))
    two = fit(recipe, dataset, NAMES, seed=5, threads=2)
    np.testing.assert_array_equal(one.margins(dataset.test), two.margins(dataset.test))
    assert one.booster.get_dump() == two.booster.get_dump()
    assert bits(one) != bits(fit(recipe, dataset, NAMES, seed=6, threads=1))


def test_learning_rates_stay_where_rare_classes_allow():
    for recipe in (CHAMPION, CHALLENGER, REQUEST_ONLY):
        assert recipe.parameters["learning_rate"] <= 0.2


def test_champion_and_challenger_differ(dataset):
    champion, challenger = (fit(recipe, dataset, NAMES, seed=5, threads=1) for recipe in (CHAMPION, CHALLENGER))
    assert champion.parameters["learning_rate"] != challenger.parameters["learning_rate"]
    assert np.abs(champion.margins(dataset.test) - challenger.margins(dataset.test)).max() > 0.1


def test_a_model_sees_its_own_columns_only(dataset):
    model = fit(REQUEST_ONLY, dataset, CATALOGUE.request_only, seed=5, threads=1)
    assert model.features == CATALOGUE.request_only
    assert model.booster.feature_names == list(CATALOGUE.request_only)
    np.testing.assert_array_equal(
        model.matrix(dataset.test), dataset.test.features[:, [NAMES.index(n) for n in CATALOGUE.request_only]]
    )


def test_growing_stops_when_the_stopping_rows_gain_nothing(dataset):
    noise = dataclasses.replace(dataset, stopping=shuffled(dataset.stopping))
    assert fit(CHAMPION, noise, NAMES, seed=5, threads=1).booster.num_boosted_rounds() < 100


def test_the_stopping_rows_are_learned_from_when_they_have_said_when_to_stop(dataset):
    """Fraud that only the stopping rows know is found by the final trees, which are as many as were stopped at."""
    new = dataset.stopping.features[:, NAMES.index("txn_count_24h")] > 1.5
    changed = dataclasses.replace(dataset.stopping, is_fraud=dataset.stopping.is_fraud | new)
    model = fit(CHAMPION, dataclasses.replace(dataset, stopping=changed), NAMES, seed=5, threads=1)
    margins = model.margins(dataset.test)
    newly = dataset.test.features[:, NAMES.index("txn_count_24h")] > 1.5
    genuine = ~dataset.test.is_fraud
    assert margins[newly & genuine].mean() > margins[~newly & genuine].mean() + 1
    assert model.parameters["base_score"] == 0.5


def test_a_row_that_stands_for_many_weighs_as_much(dataset):
    heavy = dataclasses.replace(dataset.train, weight=np.where(dataset.train.is_fraud, 20.0, 1.0))
    plain, weighted = (
        1 / (1 + np.exp(-fit(CHAMPION, part, NAMES, seed=5, threads=1).margins(dataset.test)))
        for part in (dataset, dataclasses.replace(dataset, train=heavy))
    )
    assert weighted.mean() > 1.2 * plain.mean()


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
        def margins(rows):
            flagged = rows.features[:, FLAG] == 1
            return np.where(flagged, np.where(rows.is_fraud, -0.8, -9.0), np.where(rows.is_fraud, 9.0, -0.9))

    with pytest.raises(TrainingRefused, match="is_high_risk_merchant"):
        check_learned(Overshot(), dataset)
