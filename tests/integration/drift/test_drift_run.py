"""A run of the drift function on a real lake, registry and broker: verdict, report, event, debounce."""

from __future__ import annotations

import io
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from confluent_kafka import Consumer, TopicPartition

from functions.drift.job import run
from shared.bus import topics
from shared.contracts.drift import Drift
from shared.contracts.event_time import to_rfc3339
from shared.hosts.job import JobRequest
from shared.lake.objects import Objects
from shared.lake.settings import LakeSettings
from shared.runs.record import Trigger
from shared.runs.store import FOLDER, RunStore
from tests.support.lake.writing import write
from tests.support.registry.versions import register_version
from tests.support.scoring.small_bundle import small_bundle

DAY_MS = 86_400_000
START_MS = 1_767_571_200_000  # a Monday, 2026-01-05
DAYS = 5
PER_DAY = 1_500


def traffic(rows: int, seed: int, day: int = 0, shift: float = 0.0) -> dict[str, Any]:
    """Decisions of one day; amounts are log-normal."""
    generator = np.random.default_rng(seed)
    times = START_MS + day * DAY_MS + np.sort(generator.integers(0, DAY_MS, rows))
    amount = np.exp(generator.normal(7 + shift, 1, rows)).astype(np.int64)
    return {
        "event_time_ms": times,
        "transaction_id": [f"t-{day}-{number}" for number in range(rows)],
        "card_id": [f"c-{number}" for number in generator.integers(0, 800, rows)],
        "score": generator.beta(1, 50, rows),
        "f_amount": amount,
        "f_txn_count_24h": generator.poisson(1.5, rows) + 1,
        "f_txn_count_30d": np.minimum(day, 30) * 2 + 1 + generator.poisson(1.0, rows),
    }


def reference() -> bytes:
    """What a training on a long simulated history would have logged: its 30-day counts are those of grown cards."""
    rows = [traffic(2_000, 100 + day, day) for day in range(7)]
    columns = {
        name: np.concatenate([one[name] for one in rows])
        for name in ("event_time_ms", "f_amount", "f_txn_count_24h", "score")
    }
    count = len(columns["score"])
    columns["f_txn_count_30d"] = 61.0 + np.random.default_rng(9).poisson(1.0, count)
    table = pa.table({**columns, "decision": ["approve"] * count, "weight": np.ones(count)})
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def lake(s3_environment: Mapping[str, str]) -> LakeSettings:
    fields = {name.lower(): value for name, value in s3_environment.items() if name != "AWS_DEFAULT_REGION"}
    settings = LakeSettings(fraud_lake_uri=f"s3://fraud-lake/{uuid.uuid4().hex}", **fields)
    for day in range(DAYS):
        write(settings, "decisions", traffic(PER_DAY, day, day, shift=1.0 if day == DAYS - 1 else 0.0))
    return settings


@pytest.fixture
def environment(
    lake: LakeSettings, s3_environment: Mapping[str, str], mlflow_uri: str, kafka_bootstrap: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> str:  # fmt: skip
    """The environment of a run with a champion whose reference is logged; returns the model's name."""
    name = f"fraud-{uuid.uuid4().hex[:8]}"
    values = {
        **s3_environment,
        "FRAUD_LAKE_URI": lake.fraud_lake_uri,
        "MLFLOW_TRACKING_URI": mlflow_uri,
        "KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap,
        "FRAUD_STATE_DIR": str(tmp_path),
        "FRAUD_MODEL_NAME": name,
    }
    for variable, value in values.items():
        monkeypatch.setenv(variable, value)
    return name


def register(name: str, mlflow_uri: str, data: bytes | None) -> None:
    files = {} if data is None else {"reference/reference.parquet": data}
    register_version(mlflow_uri, name, small_bundle(), "champion", files=files)


def ask(end_ms: int) -> dict[str, Any]:
    outcome = run(
        JobRequest(trigger=Trigger(kind="manual", id=uuid.uuid4().hex, request={"as_of": to_rfc3339(end_ms)}))
    )
    assert outcome.kind == "done", outcome
    return outcome.result


def events(bootstrap: str, model: str) -> list[Drift]:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": uuid.uuid4().hex, "enable.auto.commit": False})
    partitions = consumer.list_topics(topics.DRIFT, timeout=10).topics[topics.DRIFT].partitions
    consumer.assign([TopicPartition(topics.DRIFT, number, 0) for number in partitions])
    found = []
    while (message := consumer.poll(1.0)) is not None:
        subject = dict(message.headers() or [])["ce_subject"].decode()
        if message.error() is None and subject.startswith(model):
            found.append(Drift.model_validate_json(message.value()))
    consumer.close()
    return found


def test_drift_is_found_reported_and_announced_once(
    environment: str, lake: LakeSettings, mlflow_uri: str, kafka_bootstrap: str
) -> None:
    register(environment, mlflow_uri, reference())
    quiet = ask(START_MS + (DAYS - 1) * DAY_MS)
    assert quiet["outcome"] == "no drift", quiet["findings"]
    # The stream is days old: its 30-day counts are far from the reference's, and nothing is said of them.
    assert {"txn_count_30d", "score", "share of decline"} <= set(quiet["immature"])
    assert {"amount", "txn_count_24h"} <= {one["name"] for one in quiet["compared"]}
    assert quiet["volume"] == {"rows": PER_DAY, "usual_rows": PER_DAY}

    drifted = ask(START_MS + DAYS * DAY_MS)
    assert drifted["outcome"] == "drift"
    assert [one["name"] for one in drifted["findings"]] == ["amount"]
    assert drifted["announced"] is True
    again = ask(START_MS + DAYS * DAY_MS - 60_000)
    assert (again["outcome"], again["announced"]) == ("drift", False)

    [event] = events(kafka_bootstrap, environment)
    assert event.report_uri == drifted["report"]
    assert event.rows == PER_DAY
    key = event.report_uri.removeprefix(f"{lake.root}/reports/")
    stored = Objects(lake, "reports").get(key)
    assert stored is not None
    assert b"<h1>drift</h1>" in stored.body
    details = Objects(lake, "reports").get(key.replace(".html", ".json"))
    assert details is not None
    assert orjson.loads(details.body)["metrics"]
    record = RunStore(Objects(lake, FOLDER)).find(drifted["run_id"])
    assert record is not None
    assert (record.outcome, record.inputs["champion"]) == ("done", "1")


def test_no_data_is_no_verdict(environment: str, lake: LakeSettings, mlflow_uri: str, kafka_bootstrap: str) -> None:
    register(environment, mlflow_uri, reference())
    empty = ask(START_MS + (DAYS + 10) * DAY_MS)
    assert empty["outcome"] == "no verdict"
    assert "0 whole decisions" in empty["reason"]
    few = ask(START_MS + DAY_MS // 10)
    assert "at least 500 are asked for" in few["reason"]
    assert events(kafka_bootstrap, environment) == []
    record = RunStore(Objects(lake, FOLDER)).find(few["run_id"])
    assert record is not None
    assert record.outcome == "skipped"


def test_no_champion_and_no_reference_are_no_verdict(environment: str, mlflow_uri: str) -> None:
    assert "has no champion" in ask(START_MS + DAYS * DAY_MS)["reason"]
    register(environment, mlflow_uri, None)
    assert "without reference/reference.parquet" in ask(START_MS + DAYS * DAY_MS)["reason"]
