from itertools import pairwise

import numpy as np
import pytest

from functions.train.dataset import DAY_MS, HISTORY_START_MS, LONGEST_LABEL_DELAY_DAYS, simulated_dataset, split_by_time
from shared.features.catalogue import CATALOGUE

DAYS = 60
END_MS = HISTORY_START_MS + DAYS * DAY_MS


def history(count=6_000):
    time_ms = HISTORY_START_MS + (np.arange(count) * DAYS * DAY_MS) // count
    is_fraud = np.arange(count) % 10 == 0
    return {
        "event_time_ms": time_ms,
        "is_fraud": is_fraud,
        "pattern": np.where(is_fraud, "card_testing", None),
        "card_id": np.array([f"card-{index % 50}" for index in range(count)], dtype=object),
        "label_time_ms": np.where(is_fraud, time_ms + 3 * DAY_MS, -1),
    }


def split(columns):
    count = len(columns["event_time_ms"])
    features = np.arange(count * len(CATALOGUE), dtype=np.float32).reshape(count, -1)
    return split_by_time(columns, features, END_MS, CATALOGUE, "by hand")


def test_purposes_are_apart_in_time_and_in_order():
    dataset = split(history())
    parts = [dataset.train, dataset.stopping, dataset.policy, dataset.test]
    for earlier, later in pairwise(parts):
        assert earlier.event_time_ms.max() < later.event_time_ms.min()
    assert dataset.train.event_time_ms.min() == HISTORY_START_MS
    assert dataset.test.event_time_ms.max() == history()["event_time_ms"].max()


def test_no_row_serves_two_purposes():
    dataset = split(history())
    first_values = np.concatenate(
        [part.features[:, 0] for part in (dataset.train, dataset.stopping, dataset.policy, dataset.test)]
    )
    assert len(np.unique(first_values)) == len(first_values)


def test_a_label_delay_lies_between_learning_and_judging():
    dataset = split(history())
    gap = dataset.stopping.event_time_ms.min() - dataset.train.event_time_ms.max()
    assert gap >= LONGEST_LABEL_DELAY_DAYS * DAY_MS


def test_a_label_known_after_the_cut_is_invisible_to_learning():
    columns = history()
    cut = split(columns).stopping.event_time_ms.min()
    frauds = np.flatnonzero(columns["is_fraud"])
    columns["label_time_ms"][frauds[0]] = cut + 1_000
    columns["label_time_ms"][frauds[1]] = cut - 1_000
    train = split(columns).train
    assert not train.is_fraud[frauds[0]]
    assert train.is_fraud[frauds[1]]


def test_the_digest_names_the_rows():
    assert split(history()).digest == split(history()).digest
    changed = history()
    changed["is_fraud"][-1] = True
    assert split(changed).digest != split(history()).digest


@pytest.fixture(scope="module")
def simulated():
    return simulated_dataset(seed=3, transactions=12_000, days=60.0, threads=1)


def test_a_simulated_history_becomes_features_and_labels(simulated):
    assert simulated.train.features.dtype == np.float32
    assert simulated.train.features.shape[1] == len(CATALOGUE)
    assert simulated.train.features.flags.c_contiguous
    counts = simulated.train.features[:, simulated.names.index("txn_count_24h")]
    assert counts.min() >= 1, "a transaction is counted in its own window"
    assert 0 < simulated.train.is_fraud.mean() < 0.05
    assert "seed 3" in simulated.label
    assert "2025-09-01" in simulated.label


def test_the_same_seed_gives_the_same_rows(simulated):
    again = simulated_dataset(seed=3, transactions=12_000, days=60.0, threads=2)
    assert again.digest == simulated.digest
    assert simulated_dataset(seed=4, transactions=12_000, days=60.0, threads=1).digest != simulated.digest


def test_unknown_places_are_missing_values(simulated):
    cities = simulated.train.features[:, simulated.names.index("distinct_cities_1h")]
    assert np.isnan(cities).any()
    assert not np.isnan(cities).all()
