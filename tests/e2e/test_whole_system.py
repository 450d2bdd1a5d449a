"""The system as a newcomer runs it: one command, and decisions flow."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import orjson
import pytest
import urllib3
from confluent_kafka import Producer

from shared.bus import topics
from shared.contracts import cloudevents
from shared.contracts.decision import DecisionDetails
from shared.contracts.event_time import now_milliseconds, to_rfc3339
from shared.telemetry.tracing import start_trace
from tests.e2e.running import System, wait_for
from tests.e2e.starting import fraud
from tests.support.transactions import wire


def ask(system: System, document: dict[str, Any], **headers: str) -> Any:
    answer = system.http.request(
        "POST", f"{system.state.scorer_url}/v1/score?details=true", json=document, headers=headers
    )
    assert answer.status == 200, answer.data
    return orjson.loads(answer.data)


@pytest.mark.timeout(300)
def test_it_decides_on_live_traffic(environment: dict[str, str]) -> None:
    def flowing() -> Any:
        status = json.loads(fraud(environment, "status", "--json").stdout)
        return status if (status["decisions_recorded"] or 0) >= 50 else None

    status = wait_for(flowing, 60, "fifty decisions")
    aliases = {alias: model["version"] for model in status["models"] for alias in model["aliases"]}
    assert aliases.keys() == {"champion", "challenger"}
    assert aliases["champion"] != aliases["challenger"]
    assert status["dead_letters"] == 0
    assert status["events_dropped"] == 0


def test_an_answer_has_every_field_of_the_contract(system: System) -> None:
    answer = ask(system, wire(transaction_id="e2e-contract", timestamp=to_rfc3339(now_milliseconds())))
    decision = DecisionDetails.model_validate(answer)
    assert not decision.degraded
    assert decision.features["txn_count_10m"] == 1


def test_one_trace_id_runs_from_the_request_to_the_shadow_and_the_updater(system: System) -> None:
    trace = start_trace(sampled=True)
    document = wire(
        transaction_id=f"e2e-{trace.trace_id}", card_id="e2e-card", timestamp=to_rfc3339(now_milliseconds())
    )
    ask(system, document, traceparent=trace.traceparent)
    publish(system, document, trace.traceparent)
    logs = system.state.home / "logs"
    for service in ("scorer", "shadow-scorer", "feature-updater"):
        path = logs / f"{service}.jsonl"

        def lines(path: Path = path) -> list[dict[str, Any]]:
            return [
                line
                for line in map(json.loads, path.read_text().splitlines())
                if line.get("trace_id") == trace.trace_id
            ]

        found = wait_for(lines, 30, f"the trace in the log of {service}")
        assert all(line["service"] == service for line in found)


def test_metrics_count_what_was_sent(system: System) -> None:
    before = system.metric("scorer", "inference_latency_seconds_count")
    started = time.monotonic()
    for number in range(200):
        ask(
            system,
            wire(transaction_id=f"e2e-count-{number}", card_id="e2e-count", timestamp=to_rfc3339(now_milliseconds())),
        )
    counted = system.metric("scorer", "inference_latency_seconds_count") - before
    live = 15 * (time.monotonic() - started) + 15  # the producer's ten a second go on meanwhile
    assert 200 <= counted <= 200 + live


def publish(system: System, document: dict[str, Any], traceparent: str) -> None:
    event = cloudevents.Event(
        document["transaction_id"], "/e2e", cloudevents.TRANSACTION, orjson.dumps(document),
        partition_key=document["card_id"], traceparent=traceparent,
    )  # fmt: skip
    key, value, headers = cloudevents.to_kafka(event)
    producer = Producer({"bootstrap.servers": system.state.kafka})
    producer.produce(topics.TRANSACTIONS, value, key, headers=[*headers])
    assert producer.flush(20) == 0


def test_a_second_up_finds_the_system_running(environment: dict[str, str]) -> None:
    again = fraud(environment, "up", "--json")
    assert again.returncode == 0, again.stderr


def test_bad_input_is_a_problem_that_names_the_field(system: System) -> None:
    http = urllib3.PoolManager()
    answer = http.request("POST", f"{system.state.scorer_url}/v1/score", json=wire(amount="-1"))
    assert answer.status == 422
    problem = orjson.loads(answer.data)
    assert answer.headers["content-type"] == "application/problem+json"
    assert [error["field"] for error in problem["errors"]] == ["amount"]
