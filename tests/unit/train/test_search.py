import pytest

from functions.train import search as searching
from functions.train.recipe import CHAMPION
from functions.train.search import search
from tests.support.training import NAMES, learnable_dataset

FEW_BINS = CHAMPION.with_parameters({"max_bin": 64})
"""As good for so few rows, and quick."""


@pytest.fixture(scope="module")
def dataset():
    return learnable_dataset(3_000)


def find(dataset, trials=8, seed=1):
    return search(FEW_BINS, dataset, NAMES, trials=trials, seed=seed, threads=1, device="cpu")


def test_the_same_seed_finds_the_same_parameters(dataset):
    assert find(dataset) == find(dataset)
    assert find(dataset, seed=2).parameters != find(dataset).parameters


def test_a_search_of_nothing_changes_nothing(dataset):
    assert find(dataset, trials=0) is FEW_BINS
    assert find(dataset, trials=1) is FEW_BINS


def test_what_is_found_keeps_the_learning_rate_that_rare_classes_allow(dataset):
    found = find(dataset)
    assert 0.03 <= found.parameters["learning_rate"] <= 0.2
    assert found.parameters.keys() == CHAMPION.parameters.keys()


def test_a_trial_learns_from_whole_cards_and_no_more_than_its_bound(dataset, monkeypatch):
    monkeypatch.setattr(searching, "MOST_ROWS", 1_000)
    some = searching._some_cards(dataset.train, 1)
    assert 500 < len(some) < 1_500
    for card in set(some.card.tolist()):
        assert (some.card == card).sum() == (dataset.train.card == card).sum()
