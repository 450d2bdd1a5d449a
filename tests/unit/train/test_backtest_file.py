"""A file of transactions as a data set: features, periods, what is left out, and a leak that is none."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from functions.train.backtest import file_history
from functions.train.backtest.figures import by_day, decisions, money, worst_misses
from functions.train.backtest.file_history import FileHistory
from functions.train.backtest.periods import Asked, backtest_periods, split_file, without_clocks
from functions.train.errors import NotEnoughData
from functions.train.rows import DAY_MS
from shared.features.catalogue import CATALOGUE
from shared.features.history import HistoryFeatures
from shared.scoring.policy import Policy
from shared.simulation.history import generate_history
from shared.tabular.ingest import SCHEMA
from tests.support.training import START_MS, make_rows

DAYS = 30
DELAY = 7 * DAY_MS


@pytest.fixture(scope="module")
def history():
    return generate_history(8_000, DAYS, start_ms=START_MS, seed=5, settings={"fraud_share": 0.08})


def file_of(history, folder, *, without=(), label_times=False):
    count = len(history["event_time_ms"])
    columns = {
        "file_row": np.arange(1, count + 1),
        "label": history["is_fraud"],
        "label_time_ms": pa.array(
            history["label_time_ms"], mask=(history["label_time_ms"] < 0) | np.full(count, not label_times)
        ),
    }
    arrays = []
    for column in SCHEMA:
        values = columns.get(column.name, history.get(column.name))
        empty = column.name in without
        arrays.append(pa.nulls(count, column.type) if empty else pa.array(values, column.type, from_pandas=True))
    folder.mkdir(exist_ok=True)
    path = folder / "transactions.parquet"
    pq.write_table(pa.table(arrays, names=SCHEMA.names), path)
    return FileHistory(table=path, name="cards.csv", label_delay_ms=DELAY, workspace=folder, threads=1)


def test_the_vectors_are_the_history_engines_with_labels_by_their_delay(history, tmp_path):
    found = file_of(history, tmp_path).examples()
    names = ("transaction_id", "card_id", "merchant_id", "event_time_ms", "is_fraud")
    labels = pa.table(
        {
            **{name: history[name] for name in names},
            "label_time_ms": history["event_time_ms"] + DELAY,
        }
    )
    expected = HistoryFeatures(CATALOGUE, threads=1).table(pq.read_table(tmp_path / "transactions.parquet"), labels)
    assert found.names == CATALOGUE.names
    for name in ("txn_count_24h", "merchant_risk_7d", "travel_speed_kmh"):
        np.testing.assert_array_equal(
            found.rows.features[:, found.names.index(name)],
            expected.column(name).to_numpy(zero_copy_only=False).astype(np.float32),
        )
    assert found.count_mismatches() == 0


def test_a_label_has_its_own_time_or_the_delay(history, tmp_path):
    frauds = history["is_fraud"]
    by_delay = file_of(history, tmp_path / "delay").examples().labels
    assert (by_delay.label_time_ms == history["event_time_ms"] + DELAY).all()
    by_time = file_of(history, tmp_path / "time", label_times=True).examples().labels
    np.testing.assert_array_equal(by_time.label_time_ms[frauds], history["label_time_ms"][frauds])


def test_missing_columns_drop_the_features_that_look_at_them(history, tmp_path):
    file = file_of(history, tmp_path, without=("city", "latitude"))
    dropped = file.dropped()
    assert dropped["travel_speed_kmh"] == ("latitude",)
    assert dropped["distinct_cities_1h"] == ("city",)
    assert "is_high_risk_merchant" not in dropped
    assert file.examples().names == tuple(name for name in CATALOGUE.names if name not in dropped)


def test_of_a_large_file_whole_cards_are_drawn_and_it_is_said(history, tmp_path, monkeypatch):
    monkeypatch.setattr(file_history, "MOST_ROWS", 2_000)
    found = file_of(history, tmp_path).examples()
    assert 500 < len(found.rows) < 4_000
    assert "25% sample of the cards" in found.source
    cards = {history["card_id"][row - 1] for row in found.rows.row_id.tolist()}
    assert len(found.rows) == np.isin(history["card_id"], list(cards)).sum()


def periods(asked=None, **changes):
    bounds = {"first_ms": 0, "last_ms": 35 * DAY_MS - 1, "label_delay_ms": DELAY, **changes}
    return backtest_periods(asked or Asked(), **bounds)


def test_given_bounds_are_kept_and_the_default_is_60_percent_a_gap_and_the_rest():
    assert periods() == ((0, 21 * DAY_MS), (28 * DAY_MS, 35 * DAY_MS))
    given = periods(Asked(DAY_MS, 20 * DAY_MS, 30 * DAY_MS, 33 * DAY_MS))
    assert given == ((DAY_MS, 20 * DAY_MS), (30 * DAY_MS, 33 * DAY_MS))


@pytest.mark.parametrize(
    "asked",
    [
        Asked(train_from=5 * DAY_MS, train_until=5 * DAY_MS),
        Asked(train_until=20 * DAY_MS, test_from=19 * DAY_MS),
        Asked(test_from=40 * DAY_MS, test_until=50 * DAY_MS),
        Asked(train_from=-9 * DAY_MS, train_until=0),
    ],
)
def test_periods_in_the_wrong_order_or_outside_the_file_are_refused(asked):
    with pytest.raises(NotEnoughData):
        periods(asked)


def test_each_purpose_has_rows_and_cards_of_its_own_and_labels_known_when_the_test_begins(history, tmp_path):
    examples = file_of(history, tmp_path).examples()
    test = (START_MS + 20 * DAY_MS, START_MS + DAYS * DAY_MS)
    dataset = split_file(examples, (START_MS, START_MS + 18 * DAY_MS), test)
    ids = np.concatenate([rows.row_id for _, rows in dataset.parts()])
    assert len(np.unique(ids)) == len(ids)
    learning = [rows for name, rows in dataset.parts() if name != "test"]
    cards = np.concatenate([np.unique(rows.card) for rows in learning])
    assert len(np.unique(cards)) == len(cards)
    for rows in learning:
        assert rows.event_time_ms.max() + DELAY <= test[0]
    assert dataset.test.event_time_ms.min() >= test[0]
    assert len(dataset.train) > sum(len(rows) for rows in dataset.validation)


def test_counts_that_tell_how_old_the_file_is_are_left_out(history, tmp_path):
    examples = file_of(history, tmp_path).examples()
    end = examples.start_ms + 14 * DAY_MS
    left = without_clocks(examples, (examples.start_ms, end))
    assert set(examples.names) - set(left.names) == {"txn_count_30d", "merchant_txn_count_30d"}
    for name in left.names:
        np.testing.assert_array_equal(
            left.rows.features[:, left.names.index(name)], examples.rows.features[:, examples.names.index(name)]
        )
    assert without_clocks(examples, (examples.start_ms, examples.start_ms + 60 * DAY_MS)) is examples


def test_money_days_and_misses_are_counted_by_decision():
    rows = make_rows([True, True, True, False, False], event_time_ms=np.array([0, 0, 1, 1, 1]) * DAY_MS)
    rows.amount_minor[:] = [100, 200, 400, 800, 1_600]
    decided = decisions(np.array([0.9, 0.5, 0.1, 0.9, 0.1]), Policy(0.8, 0.4))
    assert decided == ["decline", "review", "approve", "decline", "approve"]
    amounts = money(rows, decided)
    assert (amounts.fraud, amounts.declined_fraud, amounts.reviewed_fraud) == (700, 100, 200)
    assert (amounts.missed_fraud, amounts.declined_genuine) == (400, 800)
    assert [(day.transactions, day.frauds, day.declined, day.caught) for day in by_day(rows, decided)] == [
        (2, 2, 1, 2),
        (3, 1, 1, 0),
    ]
    [miss] = worst_misses(rows, np.zeros(5), decided)
    assert (miss.row, miss.amount_minor) == (2, 400)
