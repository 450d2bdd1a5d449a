from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from functions.train.errors import NotEnoughData
from functions.train.rows import DAY_MS
from functions.train.split import periods_by_share, split_by_time
from tests.support.training import START_MS, make_examples

GAP = 14 * DAY_MS


def periods(examples, **shares):
    shares = {"train_share": 0.6, "test_share": 0.45, **shares}
    return periods_by_share(examples.start_ms, examples.end_ms, gap_ms=GAP, **shares)


@pytest.fixture
def examples():
    return make_examples()


@pytest.fixture
def dataset(examples):
    return split_by_time(examples, periods(examples))


def test_purposes_are_apart_in_time_and_in_order(examples, dataset):
    for (_, earlier), (_, later) in pairwise(dataset.parts()):
        assert earlier.event_time_ms.max() < later.event_time_ms.min()
    assert dataset.train.event_time_ms.min() == START_MS
    assert dataset.test.event_time_ms.max() == examples.rows.event_time_ms.max()


def test_no_row_serves_two_purposes(dataset):
    ids = np.concatenate([rows.row_id for _, rows in dataset.parts()])
    assert len(np.unique(ids)) == len(ids)
    assert {name for name, _ in dataset.parts()} == {"train", "stopping", "calibration", "policy", "test"}


def test_a_label_delay_lies_between_learning_and_choosing(dataset):
    assert dataset.stopping.event_time_ms.min() - dataset.train.event_time_ms.max() >= GAP


def test_a_label_that_becomes_known_after_the_training_began_is_invisible_to_it(examples):
    asked = periods(examples)
    row = examples.labels.row[5]
    for late_ms, seen in ((0, True), (1_000, False)):
        times = examples.labels.label_time_ms.copy()
        times[5] = asked.train_labels_ms + late_ms
        train = split_by_time(replace(examples, labels=replace(examples.labels, label_time_ms=times)), asked).train
        assert bool(train.is_fraud[train.row_id == row][0]) is seen


def test_rows_whose_label_is_not_known_yet_have_no_purpose(examples):
    younger = replace(examples, cut_ms=examples.end_ms + GAP - 2 * DAY_MS)
    dataset = split_by_time(younger, periods(examples))
    unknown = dataset.test.event_time_ms + GAP > younger.cut_ms
    assert unknown.any()
    assert dataset.test.is_fraud[unknown].all(), "only what was labelled may be there"


def test_the_digest_names_rows_labels_and_purposes(examples, dataset):
    assert split_by_time(make_examples(), periods(examples)).digest == dataset.digest
    assert split_by_time(examples, periods(examples, test_share=0.4)).digest != dataset.digest
    other = replace(examples.labels, is_fraud=np.append(examples.labels.is_fraud[:-1], False))
    assert split_by_time(replace(examples, labels=other), periods(examples)).digest != dataset.digest


def test_too_little_time_or_fraud_is_said():
    short = make_examples(days=10)
    with pytest.raises(NotEnoughData, match="no longer than the labels take"):
        periods(short)
    few = make_examples(count=500)
    with pytest.raises(NotEnoughData, match=r"period has \d+ labelled transactions with \d+ frauds"):
        split_by_time(few, periods(few))
