"""Reading the lake's tables, by `Lake` and by DuckDB."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import duckdb
import orjson
import pytest

from shared.contracts import cloudevents
from shared.contracts.cloudevents import Event
from shared.features.history import HistoryFeatures
from shared.lake.errors import LakeAway, TableMissing
from shared.lake.lake import Lake
from tests.support.decisions import decision_event
from tests.support.lake.tables import own_lake, write
from tests.support.transactions import wire

NOW_MS = 1_768_480_300_000


def transactions(*days: int) -> list[tuple[Event, int]]:
    documents = [
        wire(transaction_id=f"tx-{number}", timestamp=f"2026-01-{day:02d}T12:30:45.250Z")
        for number, day in enumerate(days)
    ]
    return [
        (Event(one["transaction_id"], "/t", cloudevents.TRANSACTION, orjson.dumps(one)), NOW_MS + number)
        for number, one in enumerate(documents)
    ]


@pytest.fixture(scope="module")
def lake(request: pytest.FixtureRequest) -> Lake:
    lake = own_lake(request.getfixturevalue("s3_environment"))
    write(lake, "transactions", transactions(10, 11, 11))
    write(lake, "transactions", transactions(12, 13, 13, 14))
    write(lake, "decisions", [(decision_event(7, decision="review"), NOW_MS)])
    return lake


def test_rows_hold_the_transaction_exactly(lake: Lake) -> None:
    row = lake.read("transactions", days=(date(2026, 1, 10), date(2026, 1, 11))).to_pylist()[0]
    assert len(row.pop("event_key")) == 16
    assert row == {
        "transaction_id": "tx-0",
        "card_id": "card-1",
        "amount_minor": 4990,
        "currency": "EUR",
        "merchant_id": "m-1",
        "merchant_category": "electronics",
        "city": "Lisbon",
        "country": "PT",
        "latitude": 38.7223,
        "longitude": -9.1393,
        "channel": "ecommerce",
        "event_time_ms": 1_768_048_245_250,
        "arrival": NOW_MS * 1000,
        "kafka_partition": 0,
        "kafka_offset": 0,
        "kafka_time_ms": NOW_MS,
        "day": date(2026, 1, 10),
    }


def test_days_are_from_the_first_and_before_the_second(lake: Lake) -> None:
    def count(*days: date | None) -> int:
        first, until = days
        return lake.read("transactions", ["transaction_id"], days=(first, until)).num_rows

    assert count(None, None) == 7
    assert count(date(2026, 1, 11), date(2026, 1, 13)) == 3
    assert count(date(2026, 1, 13), None) == 3
    assert count(None, date(2026, 1, 10)) == 0


def test_a_version_names_a_state(lake: Lake) -> None:
    latest = lake.version("transactions")
    assert lake.read("transactions", version=latest).num_rows == 7
    assert lake.read("transactions", version=latest - 1).num_rows == 3
    assert lake.files("transactions", version=latest - 1) == sorted(lake.files("transactions", version=latest - 1))
    with pytest.raises(TableMissing, match="no version 99"):
        lake.table("transactions", 99)


def test_what_is_not_there_yet_and_what_does_not_answer_are_told_apart(
    lake: Lake, s3_environment: Mapping[str, str]
) -> None:
    with pytest.raises(TableMissing, match="labels"):
        lake.version("labels")
    nowhere = own_lake({**s3_environment, "AWS_ENDPOINT_URL": "http://127.0.0.1:1"})
    with pytest.raises(LakeAway):
        nowhere.version("transactions")


def test_duckdb_reads_a_table_as_it_is(lake: Lake) -> None:
    transactions = lake.dataset("transactions")
    query = "SELECT day, sum(amount_minor) FROM transactions WHERE day >= '2026-01-13' GROUP BY day ORDER BY day"
    assert duckdb.sql(query).fetchall() == [(date(2026, 1, 13), 9980), (date(2026, 1, 14), 4990)]
    assert transactions.count_rows() == 7


def test_the_history_engine_reads_a_table_as_it_is(lake: Lake) -> None:
    answers = HistoryFeatures(threads=1).table(lake.read("transactions", days=(date(2026, 1, 12), None)))
    assert sorted(answers["txn_count_30d"].to_pylist()) == [1, 2, 3, 4]


def test_a_decision_has_its_receipt_and_its_vector(lake: Lake) -> None:
    (row,) = lake.read("decisions").to_pylist()
    assert row["decision_id"] == decision_event(7).id
    assert (row["decision"], row["degraded"], row["reasons"]) == ("review", False, [])
    assert row["decided_at_ms"] == 1_768_480_245_260
    assert row["arrival"] == 1_768_480_245_260_000
    assert row["f_txn_count_24h"] == 0
