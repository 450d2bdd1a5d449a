"""Label evidence: a fall of the champion's recall."""

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from functions.drift.recall import Spans, compare_recall, read_frauds
from shared.features.definition import DAY_MS
from shared.lake.errors import TableMissing

END = 20_500 * DAY_MS
SPANS = Spans.of_days(7, 28, 50)


class Lake:
    def __init__(self, **tables):
        self.tables = tables

    def dataset(self, name, days=None, version=None):
        if name not in self.tables:
            raise TableMissing(f"nothing has been archived into {name} yet")
        return ds.dataset(self.tables[name])


def lake(count, decision, labelled_ms, **changes):
    """Frauds with these decisions and label times; two of them per card."""
    keys = {"card_id": [f"c{n // 2}" for n in range(count)], "transaction_id": [f"t{n}" for n in range(count)]}
    decisions = {**keys, "decision": decision, "model_version": ["1"] * count, "degraded": [False] * count}
    labels = {**keys, "is_fraud": [True] * count, "label_time_ms": pa.array(labelled_ms, pa.int64())}
    return Lake(decisions=pa.table({**decisions, **changes}), labels=pa.table(labels))


def recall(before, recent, count=400):
    """A lake in which half of the labels came in the last week, with these shares of alerts on both halves."""
    half = count // 2
    generator = np.random.default_rng(1)
    alerted = np.concatenate([generator.random(half) < before, generator.random(half) < recent])
    times = np.concatenate([np.full(half, END - 20 * DAY_MS), np.full(half, END - DAY_MS)])
    return lake(count, np.where(alerted, "review", "approve").tolist(), times)


def test_a_fall_is_found():
    found = compare_recall(recall(0.8, 0.4), "1", END, SPANS)
    assert found is not None
    assert found.drifted
    assert found.effect == pytest.approx(0.85, abs=0.2)
    assert (found.reference_rows, found.rows) == (200, 200)


@pytest.mark.parametrize("recent", [0.8, 0.75, 0.95])
def test_chance_and_a_rise_are_none(recent):
    found = compare_recall(recall(0.8, recent), "1", END, SPANS)
    assert found is not None
    assert not found.drifted


def test_false_alarms_are_rare():
    alarms = 0
    for seed in range(200):
        generator = np.random.default_rng(seed)
        decision = np.where(generator.random(200) < 0.7, "decline", "approve").tolist()
        times = np.where(np.arange(200) < 140, END - 10 * DAY_MS, END - DAY_MS)
        found = compare_recall(lake(200, decision, times), "1", END, SPANS)
        alarms += found is not None and found.drifted
    assert alarms <= 2


def test_few_frauds_and_an_empty_lake_say_nothing():
    assert compare_recall(recall(0.9, 0.1, count=90), "1", END, SPANS) is None
    assert compare_recall(Lake(), "1", END, SPANS) is None
    assert compare_recall(recall(0.9, 0.1), "2", END, SPANS) is None


def test_labels_that_arrive_later_are_invisible():
    frauds = read_frauds(lake(3, ["approve"] * 3, [END, END + 1, END - 7 * DAY_MS]), "1", END - 7 * DAY_MS, END)
    assert len(frauds) == 1


def test_degraded_decisions_do_not_count():
    table = lake(2, ["approve"] * 2, [END] * 2, degraded=[True, False])
    assert len(read_frauds(table, "1", END - DAY_MS, END)) == 1


def test_the_control_group_stands_for_the_declined():
    table = lake(
        4,
        ["decline", "approve", "approve", "review"],
        [END] * 4,
        control=[False, True, False, False],
        propensity=[0.25, 0.25, None, None],
    )
    frauds = read_frauds(table, "1", END - DAY_MS, END)
    assert sorted(zip(frauds.weight.tolist(), frauds.alerted.tolist(), strict=True)) == [
        (1.0, False), (1.0, True), (4.0, True)
    ]  # fmt: skip
