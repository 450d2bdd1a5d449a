import numpy as np
import pytest

from shared.contracts.card_numbers import contains_card_number
from shared.simulation.config import DAY_MS
from shared.simulation.history import generate_history

START_MS = 1_756_684_800_000


@pytest.fixture(scope="module")
def history():
    return generate_history(30_000, 30.0, start_ms=START_MS, seed=11)


def test_equal_arguments_give_equal_histories(history):
    again = generate_history(30_000, 30.0, start_ms=START_MS, seed=11)

    assert list(again) == list(history)
    for name, column in history.items():
        np.testing.assert_array_equal(again[name], column, err_msg=name)


def test_another_seed_gives_other_people_and_other_events(history):
    other = generate_history(30_000, 30.0, start_ms=START_MS, seed=12)

    assert not set(other["card_id"]) & set(history["card_id"])
    assert not set(other["transaction_id"]) & set(history["transaction_id"])
    assert not np.array_equal(other["amount_minor"], history["amount_minor"])


def test_it_holds_the_asked_number_in_event_time_order_within_the_asked_days(history):
    times = history["event_time_ms"]

    assert {len(column) for column in history.values()} == {30_000}
    assert len(set(history["transaction_id"])) == 30_000
    assert (np.diff(times) >= 0).all()
    assert times[0] >= START_MS
    assert 28 * DAY_MS < times[-1] - START_MS < 30 * DAY_MS


@pytest.mark.parametrize("transactions", [1, 7, 500])
def test_small_histories_are_exact_too(transactions):
    history = generate_history(transactions, 2.0, start_ms=START_MS)

    assert len(history["amount_minor"]) == transactions
    assert history["event_time_ms"][-1] < START_MS + 2 * DAY_MS


def test_no_identifier_resembles_a_card_number(history):
    for name in ("transaction_id", "card_id", "merchant_id"):
        assert not any(contains_card_number(value) for value in set(history[name])), name
        longest = max(len(run) for value in set(history[name]) for run in _digit_runs(value))
        assert longest < 13, name


def test_unknown_places_are_unknown_together(history):
    unknown = np.array([city is None for city in history["city"]])

    np.testing.assert_array_equal(np.isnan(history["latitude"]), unknown)
    np.testing.assert_array_equal(np.isnan(history["longitude"]), unknown)
    assert 0.2 < unknown.mean() < 0.5
    assert set(history["channel"][~unknown]) == {"pos", "contactless", "atm"}
    assert set(history["channel"][unknown]) == {"ecommerce", "moto"}


def test_amounts_are_positive_whole_minor_units(history):
    assert history["amount_minor"].dtype == np.int64
    assert history["amount_minor"].min() >= 50


def test_truth_and_label_belong_together(history):
    fraud = history["is_fraud"]

    np.testing.assert_array_equal(fraud, np.array([pattern is not None for pattern in history["pattern"]]))
    assert (history["label_time_ms"][~fraud] == -1).all()
    assert (history["label_time_ms"][fraud] > history["event_time_ms"][fraud]).all()


@pytest.mark.parametrize(("transactions", "days"), [(0, 1.0), (10, 0.0)])
def test_an_empty_history_is_refused(transactions, days):
    with pytest.raises(ValueError, match="positive"):
        generate_history(transactions, days, start_ms=START_MS)


def _digit_runs(text):
    return "".join(character if character.isdigit() else " " for character in text).split()
