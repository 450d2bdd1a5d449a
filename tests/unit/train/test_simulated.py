import numpy as np
import pytest

from functions.train.bootstrap import simulated_dataset
from functions.train.settings import TrainSettings
from functions.train.simulated import SimulatedHistory
from shared.features.catalogue import CATALOGUE

SETTINGS = TrainSettings(fraud_bootstrap_transactions=40_000, fraud_bootstrap_days=60, fraud_training_threads=1)


@pytest.fixture(scope="module")
def simulated():
    return simulated_dataset(3, SETTINGS)


def test_a_simulated_history_becomes_features_and_labels(simulated):
    assert simulated.train.features.dtype == np.float32
    assert simulated.train.features.shape[1] == len(CATALOGUE)
    assert simulated.train.features.flags.c_contiguous
    counts = simulated.train.features[:, simulated.names.index("txn_count_24h")]
    assert counts.min() >= 1, "a transaction is counted in its own window"
    assert 0 < simulated.train.is_fraud.mean() < 0.05
    assert "seed 3" in simulated.source
    assert "2025-09-01" in simulated.source


def test_the_same_seed_gives_the_same_rows_on_any_number_of_threads(simulated):
    assert simulated_dataset(3, SETTINGS.model_copy(update={"fraud_training_threads": 2})).digest == simulated.digest
    assert simulated_dataset(4, SETTINGS).digest != simulated.digest


def test_unknown_places_are_missing_values(simulated):
    cities = simulated.train.features[:, simulated.names.index("distinct_cities_1h")]
    assert np.isnan(cities).any()
    assert not np.isnan(cities).all()


def test_its_vectors_say_what_was_known_and_a_value_that_peeks_is_found():
    examples = SimulatedHistory(seed=3, transactions=12_000, days=60.0, threads=1).examples()
    assert examples.count_mismatches() == 0
    peeking = examples.names.index("amount_zscore")
    examples.rows.features[:, peeking] += 10 * examples.rows.is_fraud
    assert examples.count_mismatches() > 10
