import numpy as np
import pytest

from shared.simulation.cities import UTC_OFFSET_MS, distances_km
from shared.simulation.config import DAY_MS, HOUR_MS
from shared.simulation.merchants import ONLINE, Merchants, place_of
from shared.simulation.population import MEAN_ACTIVITY, NOWHERE, Population

MONDAY_MS = 1_757_289_600_000  # 2025-09-08, a Monday
CARDS = np.arange(2_000)


@pytest.fixture(scope="module")
def population():
    return Population(3, 2_000)


def test_a_card_is_the_same_person_in_a_population_of_any_size(population):
    larger = Population(3, 5_000)
    times = np.full(2_000, MONDAY_MS)

    np.testing.assert_array_equal(larger.home[:2_000], population.home)
    np.testing.assert_array_equal(larger.spending(CARDS), population.spending(CARDS))
    np.testing.assert_array_equal(larger.whereabouts(CARDS, times), population.whereabouts(CARDS, times))


def test_neighbours_share_city_and_neighbourhood(population):
    seen = np.concatenate([population.neighbours(card) for card in _one_per_address(population)])
    neighbours = population.neighbours(17)

    assert 17 in neighbours
    assert set(population.home[neighbours]) == {population.home[17]}
    assert set(population.neighbourhood[neighbours]) == {population.neighbourhood[17]}
    np.testing.assert_array_equal(np.sort(seen), CARDS)


def test_neighbourhoods_stay_small_in_a_large_population():
    large = Population(3, 300_000)
    sizes = [len(large.neighbours(card)) for card in range(50)]

    assert large.neighbourhoods.max() > 1
    assert max(sizes) < 1_300


def _one_per_address(population):
    _, first = np.unique(np.stack([population.home, population.neighbourhood]), axis=1, return_index=True)
    return first.tolist()


def test_nights_are_quiet_and_evenings_busy_at_home(population):
    def mean_activity(local_hour):
        times = MONDAY_MS + local_hour * HOUR_MS - UTC_OFFSET_MS[population.home]
        return population.activity(CARDS, times).mean()

    assert mean_activity(3) < 0.1 * mean_activity(18)


def test_weekends_start_later(population):
    def mean_activity(day):
        times = MONDAY_MS + day * DAY_MS + 7 * HOUR_MS - UTC_OFFSET_MS[population.home]
        return population.activity(CARDS, times).mean()

    assert mean_activity(5) < 0.7 * mean_activity(1)


def test_money_is_spent_after_payday(population):
    card = np.zeros(31, dtype=np.int64)
    by_day = population.affluence(card, MONDAY_MS + np.arange(31) * DAY_MS)

    assert by_day.max() > 1.4
    assert by_day.min() < 1.02


def test_everybody_is_mostly_at_home_and_travels_no_faster_than_flights(population):
    times = MONDAY_MS + np.arange(0, 60 * DAY_MS, HOUR_MS)
    away, fastest = [], 0.0
    for card in range(200):
        where = population.whereabouts(np.full(len(times), card), times)
        away.append((where != population.home[card]).mean())
        known = np.flatnonzero(where != NOWHERE)
        moved = known[1:][where[known[1:]] != where[known[:-1]]]
        left = known[:-1][where[known[1:]] != where[known[:-1]]]
        if len(moved):
            speeds = distances_km()[where[left], where[moved]] / (moved - left)
            fastest = max(fastest, speeds.max())

    assert 0.02 < np.mean(away) < 0.15
    assert 0 < fastest < 900


def test_most_purchases_at_home_are_at_a_few_favourite_merchants(population):
    directory = Merchants(population)
    rng = np.random.default_rng(1)
    card = np.zeros(2_000, dtype=np.int64)
    home = np.full(2_000, population.home[0], dtype=np.int64)
    grocery = np.zeros(2_000, dtype=np.int64)
    merchants, counts = np.unique(directory.visited(rng, card, home, grocery), return_counts=True)

    assert np.sort(counts)[-4:].sum() > 0.7 * 2_000
    assert set(place_of(merchants)) == {population.home[0]}
    online = directory.visited(rng, card, np.full(2_000, ONLINE), grocery)
    assert set(directory.location(online)) == {-1}


def test_regulars_have_the_merchant_among_their_favourites(population):
    directory = Merchants(population)
    grocery = np.zeros(1, dtype=np.int64)
    for card in range(20):
        regulars = directory.regulars(card, 0)
        merchant = directory.favourite(np.array([card]), grocery)[0]
        visits = directory.visited(
            np.random.default_rng(2),
            np.repeat(regulars, 200),
            np.full(200 * len(regulars), population.home[card], dtype=np.int64),
            np.zeros(200 * len(regulars), dtype=np.int64),
        ).reshape(len(regulars), 200)

        assert card in regulars
        assert ((visits == merchant).mean(axis=1) > 0.03).all()


def test_mean_activity_is_the_mean_of_activity(population):
    rng = np.random.default_rng(3)
    times = MONDAY_MS + rng.integers(0, 31 * 7 * DAY_MS, 400_000)

    assert population.activity(rng.integers(0, 2_000, 400_000), times).mean() == pytest.approx(MEAN_ACTIVITY, rel=0.02)
