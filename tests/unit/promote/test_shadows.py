"""What is read of the lake: which labels count, what matures when, and who stands for declined transactions."""

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds

from functions.promote.shadows import read_pairs
from shared.features.definition import DAY_MS
from shared.lake.errors import TableMissing

NOW = 100 * DAY_MS
HORIZON = 14 * DAY_MS


class Tables:
    def __init__(self, **tables):
        self.tables = tables

    def dataset(self, name, days=None, version=None):
        if name not in self.tables:
            raise TableMissing(name)
        return ds.dataset(self.tables[name])


def shadows(count, **changes):
    columns = {
        "decision_id": [f"d{n}" for n in range(count)],
        "transaction_id": [f"t{n}" for n in range(count)],
        "card_id": ["c"] * count,
        "event_time_ms": [NOW - 20 * DAY_MS] * count,
    }
    for side, version in (("champion", "1"), ("challenger", "2")):
        columns[f"{side}_model_version"] = [version] * count
        columns[f"{side}_score"] = [0.1] * count
        columns[f"{side}_decision"] = ["approve"] * count
    return pa.table({**columns, **changes})


def decisions(count, **changes):
    columns = {
        "decision_id": [f"d{n}" for n in range(count)],
        "card_id": ["c"] * count,
        "event_time_ms": [NOW - 20 * DAY_MS] * count,
        "model_version": ["1"] * count,
        "amount_minor": list(range(100, 100 + count)),
        "currency": ["EUR"] * count,
    }
    return pa.table({**columns, **changes})


def labels(*rows):
    names = ("transaction_id", "is_fraud", "label_time_ms")
    columns = {name: [row[place] for row in rows] for place, name in enumerate(names)}
    return pa.table(
        {
            **columns,
            "card_id": ["c"] * len(rows),
            "arrival": list(range(len(rows))),
            "event_time_ms": [NOW - 20 * DAY_MS] * len(rows),
        }
    )


def read(**tables):
    return read_pairs(Tables(**tables), "1", "2", as_of_ms=NOW, days=60, horizon_ms=HORIZON)


def test_the_latest_label_known_by_then_counts():
    pairs = read(
        shadows=shadows(4),
        decisions=decisions(4),
        labels=labels(
            ("t0", True, NOW - DAY_MS),
            ("t1", True, NOW + 1),  # a millisecond too late
            ("t2", True, NOW - 3 * DAY_MS),
            ("t2", False, NOW - 2 * DAY_MS),
        ),
    )
    assert sorted(zip(pairs.amount.tolist(), pairs.is_fraud.tolist(), strict=True)) == [
        (100.0, True),
        (101.0, False),
        (102.0, False),
        (103.0, False),
    ]
    assert pairs.matured.all()


def test_young_rows_have_not_matured_even_with_a_label():
    times = [NOW - HORIZON, NOW - HORIZON + 1]
    pairs = read(
        shadows=shadows(2, event_time_ms=times), decisions=decisions(2), labels=labels(("t1", True, NOW - DAY_MS))
    )
    assert dict(zip(pairs.amount.tolist(), pairs.matured.tolist(), strict=True)) == {100.0: True, 101.0: False}


def test_other_versions_and_other_currencies_are_left_out():
    pairs = read(
        shadows=shadows(
            4, champion_model_version=["1", "1-request-only", "1", "1"], challenger_model_version=["2", "2", "3", "2"]
        ),
        decisions=decisions(4, currency=["EUR", "EUR", "EUR", "JPY"]),
    )
    assert len(pairs) == 2
    assert sorted(pairs.amount.tolist()) == [0.0, 100.0]


def test_a_declined_transaction_without_a_label_says_nothing():
    said = ["decline", "decline", "approve"]
    pairs = read(
        shadows=shadows(3, champion_decision=said),
        decisions=decisions(3),
        labels=labels(("t1", True, NOW - DAY_MS)),
    )
    matured = dict(zip(pairs.amount.tolist(), pairs.matured.tolist(), strict=True))
    assert matured == {100.0: False, 101.0: True, 102.0: True}


def test_the_control_group_stands_for_declined_transactions():
    pairs = read(
        shadows=shadows(3, champion_decision=["decline", "approve", "approve"]),
        decisions=decisions(3, control=[False, True, False], propensity=[None, 0.05, None]),
        labels=labels(("t1", True, NOW - DAY_MS)),
    )
    order = np.argsort(pairs.amount)
    assert pairs.matured[order].tolist() == [False, True, True]
    assert pairs.weight[order].tolist() == [1.0, 20.0, 1.0]
    assert pairs.champion.decision[order].tolist() == ["decline", "decline", "approve"]


def test_an_empty_lake_gives_no_pairs():
    assert len(read()) == 0
    assert len(read(shadows=shadows(2))) == 0


def test_traffic_from_the_past_is_weighed_although_it_was_scored_today():
    long_after = [NOW + 100 * DAY_MS] * 3
    assert len(read(shadows=shadows(3, scored_at_ms=long_after), decisions=decisions(3))) == 3
