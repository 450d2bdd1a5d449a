from itertools import islice, pairwise

import numpy as np
import pytest

from shared.simulation.categories import CATEGORIES
from shared.simulation.cities import distances_km
from shared.simulation.config import DAY_MS, GENUINE, HOUR_MS, MINUTE_MS, PATTERNS, Pattern, SimulationConfig, mix_with
from shared.simulation.merchants import ONLINE, category_of, place_of
from shared.simulation.rows import Rows
from shared.simulation.traffic import Traffic

START_MS = 1_756_684_800_000


def rows_of(days, **settings):
    config = SimulationConfig(**({"start_ms": START_MS, "transactions_per_day": 6_000.0, "seed": 5} | settings))
    traffic = Traffic(config)
    blocks = []
    for block in traffic.blocks():
        if block.begin_ms >= START_MS + days * DAY_MS:
            return traffic, Rows.concat(blocks)
        blocks.append(block.rows)
    raise AssertionError("traffic never ends")


@pytest.fixture(scope="module")
def month():
    return rows_of(40)


def of_pattern(rows, pattern):
    return rows.take(rows.pattern == PATTERNS.index(pattern))


def test_the_volume_is_the_asked_one(month):
    _, rows = month

    assert len(rows) / 40 == pytest.approx(6_000, rel=0.02)


def test_about_one_percent_is_fraud_and_every_pattern_has_its_share():
    traffic, rows = rows_of(20, transactions_per_day=60_000.0)

    for pattern in PATTERNS:
        # Frauds come in episodes, of the rarest pattern some seventy-five: three standard deviations are a third.
        expected = pytest.approx(traffic.config.share(pattern), rel=0.33)
        assert len(of_pattern(rows, pattern)) / len(rows) == expected, pattern
    assert (rows.pattern != GENUINE).mean() == pytest.approx(0.009, rel=0.08)


def test_shares_can_be_set():
    mix = mix_with({Pattern.LARGE_ONE_OFF: 0.8, Pattern.CARD_TESTING: 0.0})
    _, rows = rows_of(20, mix=mix, fraud_share=0.05)

    assert len(of_pattern(rows, Pattern.CARD_TESTING)) == 0
    assert len(of_pattern(rows, Pattern.LARGE_ONE_OFF)) / len(rows) == pytest.approx(0.04, rel=0.1)


def test_a_pattern_can_begin_later_and_changes_no_other():
    onset = {Pattern.STOLEN_CARD_SPREE: 6.5}
    _, rows = rows_of(10, onset_days=onset)
    _, always = rows_of(10)
    begun = of_pattern(rows, Pattern.STOLEN_CARD_SPREE)

    assert len(begun) > 0
    assert begun.time_ms.min() >= START_MS + 6.5 * DAY_MS
    for pattern in set(PATTERNS) - set(onset):
        np.testing.assert_array_equal(of_pattern(rows, pattern).time_ms, of_pattern(always, pattern).time_ms)


def test_blocks_are_the_same_however_far_one_reads():
    config = SimulationConfig(START_MS, 20_000.0)
    short, long = (list(islice(Traffic(config).blocks(), count)) for count in (2, 5))

    for one, other in zip(short, long, strict=False):
        assert one.first == other.first
        np.testing.assert_array_equal(one.rows.time_ms, other.rows.time_ms)
        np.testing.assert_array_equal(one.rows.amount, other.rows.amount)
        np.testing.assert_array_equal(one.plan.arrival_ms, other.plan.arrival_ms)


def test_blocks_follow_each_other_without_gap_and_in_order():
    config = SimulationConfig(START_MS, 864_000.0 / 4)
    blocks = list(islice(Traffic(config).blocks(), 6))

    assert max(len(block.rows) for block in blocks) < 15_000
    for block, following in pairwise(blocks):
        assert following.begin_ms == block.end_ms
        assert following.first == block.first + len(block.rows)
    for block in blocks:
        assert (np.diff(block.rows.time_ms) >= 0).all()
        assert block.begin_ms <= block.rows.time_ms[0]
        assert block.rows.time_ms[-1] < block.end_ms


def test_card_testing_is_many_small_amounts_within_minutes_at_one_merchant(month):
    _, rows = month
    tests = of_pattern(rows, Pattern.CARD_TESTING)
    small = tests.take(tests.amount < 1_000)
    _, per_card_and_merchant = np.unique(np.stack([small.card, small.merchant]), axis=1, return_counts=True)

    assert np.median(tests.amount) < 500
    assert np.median(per_card_and_merchant) >= 6


def test_impossible_travel_is_faster_than_any_aeroplane(month):
    _, rows = month
    abroad = of_pattern(rows, Pattern.IMPOSSIBLE_TRAVEL)
    impossible = 0
    for card, time_ms, place in zip(abroad.card, abroad.time_ms, place_of(abroad.merchant), strict=True):
        before = (rows.card == card) & (rows.time_ms < time_ms) & (rows.time_ms > time_ms - 3 * HOUR_MS)
        before &= (rows.pattern == GENUINE) & (place_of(rows.merchant) != ONLINE)
        if before.any():
            last = np.flatnonzero(before)[-1]
            hours = (time_ms - rows.time_ms[last]) / HOUR_MS
            impossible += distances_km()[place, place_of(rows.merchant[last : last + 1])[0]] / hours > 450
    assert impossible / len(abroad) > 0.8


def test_frauds_of_a_compromised_merchant_look_like_its_regulars_purchases(month):
    traffic, rows = month
    stolen = of_pattern(rows, Pattern.COMPROMISED_MERCHANT)
    merchants, counts = np.unique(stolen.merchant, return_counts=True)
    at_them = rows.take(np.isin(rows.merchant, merchants) & (rows.pattern == GENUINE))

    assert len(merchants) < len(stolen) / 10  # the merchant is the common point
    assert counts.max() >= 30
    for merchant in merchants:
        victims = stolen.card[stolen.merchant == merchant]
        regulars = traffic.merchants.regulars(int(victims[0]), int(category_of(merchant)))
        favourites = traffic.merchants.favourite(victims, np.full(len(victims), category_of(merchant)))
        assert set(traffic.population.home[victims]) == {place_of(merchant)}
        assert (favourites == merchant).any()
        assert len(regulars) > 0
    assert np.median(stolen.amount) == pytest.approx(np.median(at_them.amount), rel=0.3)


def test_an_account_takeover_takes_days_and_grows(month):
    _, rows = month
    taken = of_pattern(rows, Pattern.ACCOUNT_TAKEOVER)
    spans, early, late = [], [], []
    for card in np.unique(taken.card):
        mine = taken.take(taken.card == card)
        if len(mine) >= 6:
            spans.append(mine.time_ms[-1] - mine.time_ms[0])
            early.append(mine.amount[: len(mine) // 2].mean())
            late.append(mine.amount[len(mine) // 2 :].mean())

    assert np.median(spans) > 3 * DAY_MS
    assert np.median(late) > 1.5 * np.median(early)


def test_a_stolen_card_buys_much_within_hours(month):
    _, rows = month
    spree = of_pattern(rows, Pattern.STOLEN_CARD_SPREE)
    spans = [np.ptp(spree.time_ms[spree.card == card]) for card in np.unique(spree.card)]

    assert np.median(spans) < HOUR_MS
    assert max(spans) > 8 * HOUR_MS  # the careful ones
    assert np.median(spree.amount) > 2 * np.median(rows.amount[rows.pattern == GENUINE])


def test_a_large_one_off_stands_alone_and_is_large(month):
    _, rows = month
    large = of_pattern(rows, Pattern.LARGE_ONE_OFF)
    usual = np.array([np.mean(rows.amount[(rows.card == card) & (rows.pattern == GENUINE)]) for card in large.card])

    assert np.median(large.amount / usual) > 10
    assert len(np.unique(large.card)) > 0.9 * len(large)


def test_frauds_lean_to_risky_categories_that_genuine_traffic_has_too(month):
    _, rows = month
    risky = {"jewelry", "gift_cards", "crypto", "gambling", "money_transfer"}
    is_risky = np.isin(category_of(rows.merchant), [i for i, c in enumerate(CATEGORIES) if c.name in risky])
    fraud = rows.pattern != GENUINE

    assert is_risky[fraud].mean() > 0.35
    assert 0.02 < is_risky[~fraud].mean() < 0.08
    assert set(category_of(rows.merchant[~fraud])) == set(range(len(CATEGORIES)))


def test_genuine_cards_come_in_bursts_and_large_amounts_too(month):
    _, rows = month
    genuine = rows.take(rows.pattern == GENUINE)
    order = np.lexsort((genuine.time_ms, genuine.card))
    card, time_ms = genuine.card[order], genuine.time_ms[order]
    fourth = (card[3:] == card[:-3]) & (time_ms[3:] - time_ms[:-3] < 10 * MINUTE_MS)

    assert fourth.sum() > 20
    assert (genuine.amount > 100_000).sum() > 100
