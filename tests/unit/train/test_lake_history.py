"""Datasets out of the lake: what was known at the cut, no more, and the same again from the same versions."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from functions.train.errors import NotEnoughData
from functions.train.lake import LakeHistory
from functions.train.retrain import check_matured, lake_dataset
from functions.train.rows import DAY_MS
from functions.train.settings import TrainSettings
from shared.features.catalogue import CATALOGUE
from shared.simulation.history import generate_history
from tests.support.lake_tables import archived
from tests.support.training import START_MS

DAYS = 40
CUT = START_MS + DAYS * DAY_MS
HORIZON = 7 * DAY_MS
TRAFFIC = {"label_delay_days": (1.0, 6.0), "fraud_share": 0.08}


@pytest.fixture(scope="module")
def history():
    return generate_history(8_000, DAYS, start_ms=START_MS, seed=5, settings=TRAFFIC)


@pytest.fixture
def lake(history):
    return archived(history)


def examples(lake, **changes):
    asked = {"horizon_ms": HORIZON, "lookback_ms": 365 * DAY_MS, "count_mismatches": lambda since, until: 0}
    return LakeHistory(lake, **{**asked, "cut_ms": CUT, **changes}).examples()


def with_columns(lake, name, **columns):
    table = lake.tables[name][-1]
    for column, values in columns.items():
        at = table.schema.get_field_index(column)
        table = table.append_column(column, values) if at < 0 else table.set_column(at, column, values)
    lake.tables[name].append(table)


def test_the_logged_vectors_are_what_is_learned_from_and_nothing_is_recomputed(lake, history):
    found = examples(lake)
    assert len(found.rows) == len(history["event_time_ms"])
    assert "transactions" not in lake.reads[3:], "the tables are opened once, the transactions never read"
    column = pc.cast(lake.tables["decisions"][-1].column("f_amount"), pa.float32())
    assert sorted(found.rows.features[:, 0]) == pytest.approx(sorted(column.to_pylist()))
    assert (np.diff(found.rows.event_time_ms) >= 0).all()


def test_labels_are_those_known_at_the_cut_to_the_millisecond(lake, history):
    at = int(np.sort(history["label_time_ms"][history["label_time_ms"] >= 0])[-40])
    assert (
        examples(lake, cut_ms=at).rows.is_fraud.sum()
        == ((history["label_time_ms"] >= 0) & (history["label_time_ms"] <= at) & (history["event_time_ms"] <= at)).sum()
    )
    assert examples(lake, cut_ms=at - 1).rows.is_fraud.sum() == examples(lake, cut_ms=at).rows.is_fraud.sum() - 1


def test_a_later_label_takes_an_earlier_one_back_once_it_is_known(lake):
    first = lake.tables["labels"][-1].slice(0, 1)
    known_ms = first.column("label_time_ms")[0].as_py()
    retracted = first.set_column(
        first.schema.get_field_index("label_time_ms"), "label_time_ms", pa.array([known_ms + DAY_MS])
    )
    retracted = retracted.set_column(first.schema.get_field_index("is_fraud"), "is_fraud", pa.array([False]))
    before = examples(lake).labels
    lake.append("labels", retracted)
    after = examples(lake).labels
    for late_ms, fewer in ((-1, 0), (0, 1), (DAY_MS, 1)):
        moment = known_ms + DAY_MS + late_ms
        assert before.at(moment)[0].sum() - after.at(moment)[0].sum() == fewer


def test_the_same_versions_and_cut_give_the_same_rows_whatever_came_later(lake, history):
    found = examples(lake)
    versions = found.versions
    for name in ("decisions", "labels", "transactions"):
        lake.append(name, lake.tables[name][-1].slice(0, 1))
    with_columns(lake, "decisions", f_amount=pa.array(np.zeros(len(lake.tables["decisions"][-1]), np.int64)))
    again = examples(lake, versions=versions)
    assert again.rows.digest() == found.rows.digest()
    assert again.versions == versions
    assert examples(lake).rows.digest() != found.rows.digest()


def test_by_default_the_cut_is_the_newest_thing_known(lake, history):
    found = examples(lake, cut_ms=None)
    assert found.cut_ms == max(history["event_time_ms"].max(), history["label_time_ms"].max())


def test_repeated_degraded_and_conflicting_decisions_are_not_learned_from(lake, history):
    count = len(history["event_time_ms"])
    degraded, status = np.zeros(count, bool), np.full(count, "new", dtype=object)
    degraded[0], status[1], status[2] = True, "conflict", "unread"
    with_columns(lake, "decisions", degraded=pa.array(degraded), feature_status=pa.array(status))
    lake.append("decisions", lake.tables["decisions"][-1].slice(10, 5))
    assert len(examples(lake).rows) == count - 3


def test_a_feature_newer_than_the_log_is_filled_by_the_history_engine(history):
    whole = examples(archived(history))
    old = archived(history, version="older")
    decisions = old.tables["decisions"][-1]
    old.tables["decisions"].append(decisions.drop_columns(["f_night_share_30d", "f_merchant_risk_7d"]))
    filled = examples(old)
    for name in ("night_share_30d", "merchant_risk_7d", "amount_zscore"):
        column = CATALOGUE.names.index(name)
        np.testing.assert_array_equal(filled.rows.features[:, column], whole.rows.features[:, column], name)


def test_declines_count_by_their_control_group(lake, history):
    count = len(history["event_time_ms"])
    control = np.zeros(count, bool)
    control[::50] = True
    verdict = np.where(control, "approve", np.where(np.arange(count) % 5 == 0, "decline", "approve"))
    chance = pa.array([0.1 if chosen else None for chosen in control], pa.float64())
    with_columns(lake, "decisions", decision=pa.array(verdict), control=pa.array(control), propensity=chance)
    rows = examples(lake).rows
    assert len(rows) == (verdict == "approve").sum()
    assert set(rows.weight.tolist()) == {1.0, 10.0}


def test_without_a_control_group_an_unlabelled_decline_stays_unknown(history):
    found = examples(archived(history, verdict="decline"))
    is_fraud, known = found.labels.at(found.cut_ms)
    np.testing.assert_array_equal(known, is_fraud)


def test_too_little_that_has_matured_is_said_with_numbers(lake):
    settings = TrainSettings(fraud_label_horizon_days=7)
    with pytest.raises(NotEnoughData, match=r"the lake has \d+ decisions older than .* 7 days, \d+ of them frauds"):
        check_matured(examples(lake), settings)
    with pytest.raises(NotEnoughData, match="no decision to learn from"):
        examples(lake, cut_ms=START_MS - 1)


def test_a_dataset_ends_a_horizon_before_the_cut(lake):
    settings = TrainSettings(
        fraud_label_horizon_days=7, fraud_least_matured_rows=1_000, fraud_least_matured_frauds=50
    ).model_copy(update={"fraud_least_matured_frauds": 5})
    dataset = lake_dataset(lake, lambda since, until: 3, CUT, settings)
    assert dataset.test.event_time_ms.max() <= CUT - HORIZON
    assert dataset.count_mismatches() == 3
    assert set(dataset.versions) == {"transactions", "decisions", "labels"}
    assert dataset.digest == lake_dataset(lake, lambda since, until: 0, CUT, settings).digest
