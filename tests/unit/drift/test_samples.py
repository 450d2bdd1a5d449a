"""What is read of reference and lake."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from functions.drift import samples
from functions.drift.errors import NoVerdict
from functions.drift.samples import read_reference, read_window, stream_start
from functions.drift.verdict import judge, not_yet_announced
from shared.features.catalogue import CATALOGUE
from shared.features.definition import DAY_MS
from shared.lake.errors import TableMissing

START = 20_458 * DAY_MS  # 2026-01-05, a Monday
HOUR = 3_600_000


class Lake:
    def __init__(self, table=None):
        self.table = table

    def dataset(self, name, days=None, version=None):
        if self.table is None:
            raise TableMissing("nothing has been archived into decisions yet")
        return ds.dataset(self.table)


def decisions(rows=1000, **changes):
    times = START + np.arange(rows) * DAY_MS // rows
    columns = {
        "event_time_ms": times,
        "day": pa.array(times // DAY_MS, pa.int32()).cast(pa.date32()),
        "arrival": times * 1000,
        "card_id": [f"c{n % 300}" for n in range(rows)],
        "merchant_id": [f"m{n % 50}" for n in range(rows)],
        "score": np.full(rows, 0.1),
        "decision": ["approve"] * rows,
        "model_version": ["1"] * rows,
        "degraded": [False] * rows,
        "catalogue_version": ["v"] * rows,
        "f_amount": np.arange(rows),
    }
    return pa.table({**columns, **changes})


def window(table, **changes):
    options = {"names": ["amount"], "model_version": "1", "stream_start_ms": START}
    return read_window(Lake(table), START, START + DAY_MS, **(options | changes))


def parquet(**columns):
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


def test_degraded_decisions_are_counted_and_left_out():
    found = window(decisions(degraded=[n < 100 for n in range(1000)]))
    assert (found.rows, found.degraded, len(found.sample)) == (1000, 100, 900)


def test_another_models_scores_and_an_older_catalogues_rows_are_left_out():
    found = window(decisions(model_version=["0"] * 400 + ["1"] * 600, catalogue_version=["u"] * 100 + ["v"] * 900))
    assert (len(found.sample), found.other_catalogue) == (900, 100)
    assert np.isnan(found.sample.columns["score"]).sum() == 300
    assert (found.sample.columns["decision"] == "").sum() == 300
    assert not np.isnan(found.sample.columns["amount"]).any()


def test_the_control_group_counts_as_the_declines_it_would_have_been():
    found = window(decisions(control=[n < 10 for n in range(1000)]))
    assert (found.sample.columns["decision"] == "decline").sum() == 10


def test_a_feature_that_the_lake_lacks_is_not_compared():
    assert window(decisions(), names=["amount", "txn_count_1h"]).features == ("amount",)


def test_hours_weekdays_and_age():
    found = window(decisions())
    assert found.sample.hour_of_day.tolist()[::250] == [0, 6, 12, 18]
    assert not found.sample.is_weekend.any()
    saturday = read_window(
        Lake(decisions(event_time_ms=START + 5 * DAY_MS + np.arange(1000))), START + 5 * DAY_MS, START + 6 * DAY_MS,
        names=["amount"], model_version="1", stream_start_ms=START,
    )  # fmt: skip
    assert saturday.sample.is_weekend.all()
    assert (saturday.sample.age_ms >= 5 * DAY_MS).all()


def test_of_too_many_rows_an_even_sample_is_taken_the_same_each_time(monkeypatch):
    monkeypatch.setattr(samples, "MOST_ROWS", 1000)
    table = decisions(20_000)
    first, again = window(table), window(table)
    assert first.rows == 20_000
    assert 850 < len(first.sample) < 1150
    assert first.sample.columns["amount"].tolist() == again.sample.columns["amount"].tolist()
    assert np.mean(first.sample.columns["amount"]) == pytest.approx(10_000, rel=0.1)


def test_the_stream_starts_with_its_earliest_event():
    assert stream_start(Lake(decisions(event_time_ms=START + np.arange(1000)[::-1]))) == START
    with pytest.raises(NoVerdict, match="nothing has been archived"):
        stream_start(Lake())


def test_a_simulated_reference_is_of_age_and_one_from_the_lake_is_as_old_as_it_is():
    data = parquet(
        event_time_ms=[START, START + HOUR], f_amount=[1.0, None], score=[0.1, 0.2], decision=["approve"] * 2,
        weight=[1.0, 20.0],
    )  # fmt: skip
    sample, names = read_reference(data, None)
    assert names == ("amount",)
    assert (sample.age_ms > 10_000 * DAY_MS).all()
    assert np.isnan(sample.columns["amount"][1])
    assert sample.weight.tolist() == [1.0, 20.0]
    assert read_reference(data, START - HOUR)[0].age_ms.tolist() == [HOUR, 2 * HOUR]
    with pytest.raises(NoVerdict, match="lacks decision, weight"):
        read_reference(parquet(event_time_ms=[1], score=[0.1]), None)


def test_too_few_rows_are_no_verdict_whatever_they_say():
    found = window(decisions(400))
    with pytest.raises(NoVerdict, match=r"400 whole decisions .* at least 500"):
        judge(found.sample, found, CATALOGUE, "1", 500)


def test_a_finding_is_announced_once_within_its_time():
    generator = np.random.default_rng(0)
    reference = window(decisions(f_amount=generator.integers(0, 1000, 1000))).sample
    found = window(decisions(f_amount=generator.integers(3000, 9000, 1000)))
    findings = judge(reference, found, CATALOGUE, "1", 500).findings
    assert [one.name for one in findings] == ["amount"]
    before = [{"model_version": "1", "end_ms": START, "findings": ["amount"]}]
    for end_ms, version, hours, expected in (
        (START + HOUR, "1", 24, False),
        (START + 24 * HOUR, "1", 24, True),
        (START + HOUR, "2", 24, True),
        (START + HOUR, "1", 0, True),
    ):
        assert not_yet_announced(findings, version, end_ms, before, hours) is expected
    other = [{"model_version": "1", "end_ms": START, "findings": ["score"]}]
    assert not_yet_announced(findings, "1", START + HOUR, other, 24)
    assert not not_yet_announced([], "1", START + HOUR, [], 24)
