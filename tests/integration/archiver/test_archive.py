"""The archiver against a real broker and a real S3 server."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime

import orjson
import pyarrow as pa
import pytest
from confluent_kafka import Consumer, TopicPartition

from functions.archiver.archive import Archive
from functions.archiver.compaction import compact, due_days
from functions.archiver.composition import compose
from functions.archiver.settings import ArchiverSettings
from functions.archiver.sink import Overtaken, Sink
from functions.archiver.topic import TopicReader
from functions.archiver.upkeep import Upkeep
from shared.bus import topics
from shared.bus.dead_letters import DeadLetterTopic
from shared.contracts import cloudevents
from shared.contracts.cloudevents import Event
from shared.hosts.outcome import ServiceAway
from shared.lake.lake import Lake
from shared.lake.objects import Objects
from shared.lake.schema import TABLES
from shared.runs.store import FOLDER, RunStore
from tests.support.decisions import decision_event, features
from tests.support.lake.tables import own_lake, write
from tests.support.lake.traffic import Traffic, differences
from tests.support.metrics import Change
from tests.support.transactions import wire

NOW_MS = 1_768_480_300_000


@pytest.fixture
def lake(s3_environment: Mapping[str, str]) -> Lake:
    return own_lake(s3_environment)


@pytest.fixture
def archive(lake: Lake, kafka_bootstrap: str) -> Iterator[Archive]:
    reader = TopicReader(kafka_bootstrap)
    settings = ArchiverSettings(kafka_bootstrap_servers=kafka_bootstrap, fraud_archive_rows=500)
    yield Archive(lake, reader, DeadLetterTopic(kafka_bootstrap), settings)
    reader.close()


def transaction_event(**changes: object) -> tuple[Event, int]:
    document = wire(**changes)
    data = orjson.dumps(document)
    return Event(document["transaction_id"], "/t", cloudevents.TRANSACTION, data, partition_key="card-1"), NOW_MS


def digest(rows: pa.Table) -> str:
    """Of rows with their order and every column."""
    return hashlib.sha256(orjson.dumps(rows.to_pylist(), default=lambda value: value.hex())).hexdigest()


def test_every_distinct_event_is_one_row_however_often_it_was_published(
    archive: Archive, lake: Lake, kafka_bootstrap: str
) -> None:
    traffic = Traffic(kafka_bootstrap, seed=1)
    traffic.send(150)
    first = archive.drain()
    traffic.send(50)
    second = archive.drain()
    assert sum(one["duplicates"] for one in first.values()) > 0
    assert all(one["lag"] == 0 for one in second.values())
    assert all((lost, double) == (0, 0) for _, lost, double in differences(lake, traffic).values())
    assert archive.drain()["decisions"] == {"rows": 0, "duplicates": 0, "poison": 0, "conflicts": 0, "lag": 0}


def test_two_archivers_at_once_share_the_work_without_doubling_it(
    lake: Lake, kafka_bootstrap: str, s3_environment: Mapping[str, str]
) -> None:
    traffic = Traffic(kafka_bootstrap, seed=2)
    traffic.send(300)
    conflicts = []

    def drain() -> None:
        reader = TopicReader(kafka_bootstrap)
        settings = ArchiverSettings(kafka_bootstrap_servers=kafka_bootstrap, fraud_archive_rows=100)
        done = Archive(lake, reader, DeadLetterTopic(kafka_bootstrap), settings).drain()
        conflicts.append(sum(one["conflicts"] for one in done.values()))
        reader.close()

    both = [threading.Thread(target=drain) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert sum(conflicts) > 0
    assert all((lost, double) == (0, 0) for _, lost, double in differences(lake, traffic).values())


def test_of_two_commits_on_one_version_the_second_is_refused_and_writes_nothing(lake: Lake) -> None:
    write(lake, "transactions", [transaction_event(transaction_id="a")])
    table = TABLES["transactions"]
    one, other = Sink(lake, table), Sink(lake, table)
    one.append([], {0: 1}, {0: 2})
    with pytest.raises(Overtaken):
        other.append([], {0: 1}, {0: 3})
    with pytest.raises(Overtaken, match="archived further"):
        one.append([], {0: 1}, {0: 3})  # read before the first
    assert Sink(lake, table).offset(0) == 2


def test_of_two_compactions_at_once_the_second_is_refused(lake: Lake) -> None:
    for number in range(3):
        write(lake, "transactions", [transaction_event(transaction_id=f"t{number}")])
    tables = [lake.table("transactions") for _ in range(2)]
    root = lake.uri("transactions").removeprefix("s3://")
    ((day, files),) = due_days(tables[0], 2).items()
    compact(tables[0], lake.filesystem, root, day, files)
    with pytest.raises(Exception, match="commit"):
        compact(tables[1], lake.filesystem, root, day, files)
    assert sorted(lake.read("transactions")["transaction_id"].to_pylist()) == ["t0", "t1", "t2"]
    assert len(lake.files("transactions")) == 1


def test_poison_is_put_aside_with_its_reason_and_blocks_nothing(
    archive: Archive, lake: Lake, kafka_bootstrap: str
) -> None:
    traffic = Traffic(kafka_bootstrap, seed=3)
    traffic.send(100)
    assert traffic.junk > 0
    archive.drain()
    consumer = Consumer({"bootstrap.servers": kafka_bootstrap, "group.id": "reader", "enable.partition.eof": False})
    consumer.assign([TopicPartition(topics.DEAD_LETTERS, number, 0) for number in range(topics.PARTITIONS)])
    reasons, deadline = set[bytes](), time.monotonic() + 20
    while len(reasons) < traffic.junk and time.monotonic() < deadline:
        for message in consumer.consume(500, 0.2):
            headers = dict(message.headers() or [])
            if (message.key() or b"").startswith(f"junk-{traffic.run}-".encode()):
                assert headers["ce_knativeerrordata"] == b"not a CloudEvent of specversion 1.0"
                reasons.add(message.key())
    consumer.close()
    assert len(reasons) == traffic.junk
    assert all((lost, double) == (0, 0) for _, lost, double in differences(lake, traffic).values())


def test_a_run_ends_in_time_and_the_next_goes_on(lake: Lake, kafka_bootstrap: str) -> None:
    traffic = Traffic(kafka_bootstrap, seed=4)
    traffic.send(400)
    reader = TopicReader(kafka_bootstrap)
    settings = ArchiverSettings(
        kafka_bootstrap_servers=kafka_bootstrap, fraud_archive_rows=20, fraud_archive_seconds=0.001
    )
    short = Archive(lake, reader, DeadLetterTopic(kafka_bootstrap), settings)
    first = short.drain()
    assert any(one["lag"] > 0 for one in first.values())
    long = Archive(lake, reader, DeadLetterTopic(kafka_bootstrap), ArchiverSettings())
    assert all(one["lag"] == 0 for one in long.drain().values())
    reader.close()
    assert all((lost, double) == (0, 0) for _, lost, double in differences(lake, traffic).values())


def test_a_new_feature_becomes_a_column_and_is_null_before(lake: Lake) -> None:
    write(lake, "decisions", [(decision_event(0, values=features(amount=1)), NOW_MS)])
    newer = features(amount=2) | {"brand_new": 0.5}
    write(lake, "decisions", [(decision_event(1, values=newer), NOW_MS)])
    rows = lake.read("decisions", ["transaction_id", "f_amount", "f_brand_new", "f_avg_amount_24h"])
    assert rows.schema.field("f_amount").type == pa.int64()
    assert rows.schema.field("f_avg_amount_24h").type == pa.float64()
    assert sorted(rows.to_pylist(), key=lambda row: row["transaction_id"]) == [
        {"transaction_id": "tx-0", "f_amount": 1, "f_brand_new": None, "f_avg_amount_24h": 0.0},
        {"transaction_id": "tx-1", "f_amount": 2, "f_brand_new": 0.5, "f_avg_amount_24h": 0.0},
    ]


def test_a_version_reads_the_same_after_compaction_clearing_and_more_rows(lake: Lake) -> None:
    for number in range(6):
        version = write(lake, "transactions", [transaction_event(transaction_id=f"t{number}-{i}") for i in range(20)])
    before = digest(lake.read("transactions", version=version))
    upkeep = Upkeep(lake, most_files=3)
    assert upkeep.run(datetime.now(UTC)) == {"transactions": 6}
    write(lake, "transactions", [transaction_event(transaction_id="later", merchant_category=None)])
    upkeep.run(datetime.fromtimestamp(time.time() + 3 * 86_400, UTC))  # clears: nothing is old enough to go
    assert lake.read("transactions").num_rows == 121
    assert lake.read("transactions", version=version).num_rows == 120
    assert digest(lake.read("transactions", version=version)) == before
    assert len(lake.files("transactions", (date(2026, 1, 15), date(2026, 1, 16)))) == 2


def test_what_is_archived_is_not_taken_again_from_compacted_files(lake: Lake) -> None:
    events = [transaction_event(transaction_id=f"t{number}") for number in range(30)]
    for start in range(0, 30, 10):
        write(lake, "transactions", events[start : start + 10])
    assert Upkeep(lake, most_files=2).run(datetime.now(UTC)) == {"transactions": 3}
    write(lake, "transactions", [*events, transaction_event(transaction_id="t0", amount="1.00")])
    assert lake.read("transactions").num_rows == 31


def test_records_that_expired_before_they_were_archived_leave_a_mark(lake: Lake) -> None:
    write(lake, "transactions", [transaction_event()])
    assert lake.complete_since("transactions") is None
    Sink(lake, TABLES["transactions"]).skip({3: 17}, NOW_MS)
    assert lake.complete_since("transactions") == datetime.fromtimestamp(NOW_MS / 1000, UTC)
    assert Sink(lake, TABLES["transactions"]).offset(3) == 17


def test_a_run_is_recorded_and_counted(
    lake: Lake, kafka_bootstrap: str, s3_environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Traffic(kafka_bootstrap, seed=5).send(3)
    for name, value in s3_environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka_bootstrap)
    monkeypatch.setenv("FRAUD_LAKE_URI", lake.settings.fraud_lake_uri)
    change = Change()
    outputs = compose().invoke({})
    rows = outputs["tables"]["decisions"]["rows"]
    assert rows > 0
    assert change.of("fraud_archive_rows_total", table="decisions") == rows
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    with pytest.raises(ServiceAway, match="Kafka does not answer"):
        compose().invoke({})
    runs = list(RunStore(Objects(lake.settings, FOLDER)).latest("archiver"))
    assert [(run.outcome, run.trigger.kind) for run in runs] == [("failed", "schedule"), ("done", "schedule")]
    counted = [change.of("fraud_runs_total", function="archiver", outcome=outcome) for outcome in ("failed", "done")]
    assert counted == [1, 1]
    assert runs[1].outputs == outputs
