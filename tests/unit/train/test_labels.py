"""What was known when: the millisecond decides, the latest label counts, silence means something only in time."""

import numpy as np
import pytest

from functions.train.labels import LabelHistory
from functions.train.rows import DAY_MS

CUT = 100 * DAY_MS
HORIZON = 14 * DAY_MS


def history(labels, event_time_ms=(50 * DAY_MS,), silent=None):
    """Labels are (row, time, is_fraud), in any order."""
    row, when, what = zip(*labels, strict=True) if labels else ((), (), ())
    times = np.array(event_time_ms)
    return LabelHistory(
        event_time_ms=times,
        row=np.array(row, np.int64),
        label_time_ms=np.array(when, np.int64),
        is_fraud=np.array(what, bool),
        horizon_ms=HORIZON,
        silent=np.zeros(len(times), bool) if silent is None else np.array(silent),
    )


@pytest.mark.parametrize(("late_ms", "seen"), [(-1, True), (0, True), (1, False), (1_000, False)])
def test_a_label_counts_up_to_the_cut_and_not_a_moment_longer(late_ms, seen):
    is_fraud, known = history([(0, CUT + late_ms, True)], event_time_ms=(CUT - DAY_MS,)).at(CUT)
    assert is_fraud.tolist() == [seen]
    assert known.tolist() == [seen], "before its horizon an unlabelled transaction is unknown"


@pytest.mark.parametrize(("age_ms", "known"), [(HORIZON - 1, False), (HORIZON, True), (2 * HORIZON, True)])
def test_silence_means_genuine_once_the_horizon_has_passed(age_ms, known):
    is_fraud, found = history([], event_time_ms=(CUT - age_ms,)).at(CUT)
    assert found.tolist() == [known]
    assert not is_fraud.any()


def test_where_no_label_can_come_silence_never_means_anything():
    silent = history([(1, CUT, True)], event_time_ms=(0, 0), silent=[True, True])
    is_fraud, known = silent.at(CUT)
    assert known.tolist() == [False, True]
    assert is_fraud.tolist() == [False, True]


def test_of_several_labels_the_latest_known_counts_in_whatever_order_they_stand():
    relabelled = history([(0, CUT - 5, False), (0, CUT - 10, True), (0, CUT + 1, True)])
    assert relabelled.at(CUT)[0].tolist() == [False]
    assert relabelled.at(CUT - 6)[0].tolist() == [True]
    assert relabelled.at(CUT + 1)[0].tolist() == [True]
