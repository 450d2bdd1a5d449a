"""Comparing a window with a reference: effects, bounds, calendar and cold start."""

import dataclasses

import numpy as np
import pytest

from functions.drift.comparison import Sample, compare
from functions.drift.quantities import Measure, Quantity, look_back_ms, quantities
from shared.features.catalogue import CATALOGUE
from shared.features.definition import DAY_MS

VALUE = Quantity("value", "value", Measure.STABILITY, 0)
FLAG = Quantity("flag", "flag", Measure.SHARE, 0)
MISSING = Quantity("value missing", "value", Measure.SHARE, 0, missing=True)
DECLINED = Quantity("share of decline", "decision", Measure.SHARE, 0, equals="decline")
ALL = [VALUE, FLAG, MISSING, DECLINED]


def sample(rows, seed, *, shift=0.0, flag=0.3, missing=0.1, decline=0.01, hours=24, weekend=False, per_card=1, age=0):
    generator = np.random.default_rng(seed)
    cards = np.arange(rows) // per_card
    of_card = generator.normal(shift, 1, rows)[cards]
    value = np.where(generator.random(rows) < missing, np.nan, of_card)
    decision = np.where(generator.random(rows) < decline, "decline", "approve")
    columns = {"value": value, "flag": (generator.random(rows) < flag).astype(float), "decision": decision}
    return Sample(
        columns,
        cards,
        np.arange(rows),
        np.arange(rows) % hours,
        np.full(rows, weekend),
        np.full(rows, age),
        np.ones(rows),
    )


REFERENCE = sample(5000, 1)


def drifted(window, reference=REFERENCE):
    return {one.name for one in compare(reference, window, ALL).drifted}


@pytest.mark.parametrize("rows", [500, 2000, 50_000])
def test_the_same_distribution_is_no_drift_at_any_size(rows):
    for seed in range(2, 12):
        assert drifted(sample(rows, seed)) == set()


@pytest.mark.parametrize("rows", [2000, 50_000])
@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"shift": 0.5}, "value"),
        ({"flag": 0.4}, "flag"),
        ({"missing": 0.2}, "value missing"),
        ({"decline": 0.11}, "share of decline"),
    ],
)
def test_medium_effects_are_found_and_nothing_else(rows, changes, name):
    assert drifted(sample(rows, 20, **changes)) == {name}


def test_a_tiny_effect_is_no_drift_however_many_rows_show_it():
    assert drifted(sample(200_000, 21, shift=0.1, flag=0.31)) == set()


def test_the_effect_does_not_depend_on_the_number_of_rows():
    few, many = (
        np.mean([compare(REFERENCE, sample(rows, seed, shift=0.5), [VALUE]).compared[0].effect for seed in seeds])
        for rows, seeds in ((500, range(30, 70)), (50_000, range(70, 72)))
    )
    assert few == pytest.approx(many, rel=0.15)


def test_none_where_some_were_expected_is_not_taken_for_certainty():
    # 0 of 500 where the reference has 1 %: no resample of the window varies.
    window = sample(500, 40, decline=0.0)
    [declined] = compare(REFERENCE, window, [DECLINED]).compared
    assert not declined.drifted
    assert declined.effect - declined.lower_bound > 0.05


def test_rows_of_one_card_count_as_one():
    alone, together = (
        compare(REFERENCE, sample(2000, 41, per_card=per_card), [VALUE]).compared[0] for per_card in (1, 50)
    )
    assert together.effect - together.lower_bound > 3 * (alone.effect - alone.lower_bound)
    assert not together.drifted


def test_a_sunday_is_compared_with_sundays():
    weekdays, sundays = sample(4000, 50), sample(1000, 51, shift=2.0, weekend=True)
    reference = joined(weekdays, sundays)
    assert drifted(sample(2000, 52, shift=2.0, weekend=True), reference) == set()
    assert drifted(sample(2000, 53, shift=0.0, weekend=True), reference) == {"value"}
    assert drifted(sample(2000, 54), reference) == set()


def test_hours_the_reference_does_not_know_are_left_out_and_counted():
    reference = sample(5000, 60, hours=6)
    comparison = compare(reference, sample(4000, 61, hours=12), ALL)
    assert comparison.unmatched_rows == pytest.approx(2000, abs=10)
    assert len(comparison.compared) == len(ALL)
    nothing = compare(reference, sample(100, 62, weekend=True), ALL)
    assert nothing.compared == []
    assert nothing.unmatched_rows == 100


def test_too_few_known_values_are_unknown_and_not_drift():
    comparison = compare(REFERENCE, sample(600, 63, missing=0.9), ALL)
    assert comparison.unknown == ["value"]
    assert {one.name for one in comparison.drifted} == {"value missing"}


def test_what_looks_back_further_than_the_stream_is_old_is_immature_and_not_drift():
    monthly = Quantity("value", "value", Measure.STABILITY, 30 * DAY_MS)
    old, young = sample(5000, 70, age=60 * DAY_MS), sample(2000, 71, shift=1.0, age=29 * DAY_MS)
    comparison = compare(old, young, [monthly, FLAG])
    assert comparison.immature == ["value"]
    assert [one.name for one in comparison.compared] == ["flag"]
    assert compare(young, old, [monthly]).immature == ["value"]  # a reference can be too young as well
    halves = joined(young, sample(2000, 72, age=31 * DAY_MS))
    assert [one.drifted for one in compare(old, halves, [monthly]).compared] == [False]


def test_decisions_of_another_model_say_nothing():
    window = sample(2000, 73)
    window.columns["decision"][:1500] = ""
    [declined] = compare(REFERENCE, window, [DECLINED]).compared
    assert declined.rows == 500


def test_a_row_that_stands_for_more_weighs_more():
    # Two thirds of the flagged rows were left out, and the rest stand for them.
    whole = sample(6000, 74)
    kept = (whole.columns["flag"] == 0) | (np.arange(6000) % 3 == 0)
    thinned = whole.take(kept)
    assert drifted(thinned) == {"flag"}
    weight = np.where(thinned.columns["flag"] == 1, 3.0, 1.0)
    assert drifted(dataclasses.replace(thinned, weight=weight)) == set()


def test_a_feature_looks_back_as_far_as_its_widest_window():
    backs = {feature.name: look_back_ms(feature, CATALOGUE) for feature in CATALOGUE}
    assert backs["amount"] == 0
    assert backs["txn_count_24h"] == DAY_MS
    assert backs["spend_share_10m_24h"] == DAY_MS
    assert backs["is_new_merchant_30d"] == backs["seconds_since_last"] == 30 * DAY_MS


def test_the_calendar_is_not_compared_and_scores_look_back_furthest():
    wanted = {one.name: one for one in quantities(CATALOGUE, CATALOGUE.names)}
    assert not {"hour_of_day", "is_weekend"} & wanted.keys()
    assert (
        wanted["score"].look_back_ms
        == wanted["share of decline"].look_back_ms
        == max(look_back_ms(feature, CATALOGUE) for feature in CATALOGUE)
    )
    assert "seconds_since_last missing" in wanted
    assert "amount missing" not in wanted


def test_a_merchants_risk_follows_the_labels_and_is_not_compared():
    wanted = {one.name: one for one in quantities(CATALOGUE, CATALOGUE.names)}
    assert "merchant_risk_7d" not in wanted
    assert wanted["merchant_risk_7d missing"].of_merchant
    assert wanted["merchant_txn_count_7d"].of_merchant
    assert not wanted["txn_count_7d"].of_merchant


def test_what_one_large_merchant_brings_is_no_drift():
    """A quarter of the window's rows are one merchant's; for a feature of the card the same values are drift."""
    reference, window = sample(4_000, 1), sample(4_000, 2)
    of_one = np.arange(4_000) % 4 == 0
    columns = {**window.columns, "value": np.where(of_one, 2.0, window.columns["value"])}
    window = dataclasses.replace(window, columns=columns, merchants=np.where(of_one, -1, np.arange(4_000)))
    assert compare(reference, window, [VALUE]).drifted
    assert not compare(reference, window, [dataclasses.replace(VALUE, of_merchant=True)]).drifted


def joined(*samples):
    return Sample(
        {name: np.concatenate([one.columns[name] for one in samples]) for name in samples[0].columns},
        np.arange(sum(len(one) for one in samples)),
        np.arange(sum(len(one) for one in samples)),
        np.concatenate([one.hour_of_day for one in samples]),
        np.concatenate([one.is_weekend for one in samples]),
        np.concatenate([one.age_ms for one in samples]),
        np.concatenate([one.weight for one in samples]),
    )
