"""`fraud load` as it is typed."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from shared.cli.load import command
from shared.cli.output import CommandFailed
from shared.contracts.transaction import Transaction
from tests.support.loadgen.http_server import Behaviour, serving


def fraud_load(*arguments: object) -> Result:
    app = typer.Typer()
    app.command()(command)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(autouse=True)
def no_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRAUD_HOME", str(tmp_path))


def replica_status(count: int) -> bytes:
    replicas = [{"ready": True, "draining": False}] * count
    return json.dumps({"services": {"scorer": {"replicas": replicas}}}).encode()


def test_json_is_one_document_with_all_figures() -> None:
    with serving() as server:
        result = fraud_load("--rate", 50, "--seconds", 1, "--url", server.url, "--json")
        received = list(server.behaviour.received)
    assert result.exit_code == 0, result.exception
    report: dict[str, Any] = json.loads(result.stdout)
    assert report["answered"] == report["requests"] == 50
    assert set(report["latency_ms"]) == {"p50", "p90", "p99", "p99.9", "max", "mean"}
    assert report["failed"] == 0
    assert report["statuses"] == {"200": 50}
    assert {one.path for one in received} == {"/v1/score"}
    sent = [Transaction.from_wire(one.body) for one in received]
    assert len({one.transaction_id for one in sent}) == 50
    assert len({one.card_id for one in sent}) > 5
    assert all(abs(one.event_time_ms / 1000 - time.time()) < 60 for one in sent)


def test_failed_requests_end_with_1_and_their_causes_after_the_report() -> None:
    with serving(Behaviour(status=503)) as server:
        result = fraud_load("--rate", 20, "--seconds", 0.5, "--url", server.url, "--json")
    assert json.loads(result.stdout)["statuses"] == {"503": 10}
    assert isinstance(result.exception, CommandFailed)
    assert str(result.exception) == "10 of 10 requests failed: status 503 10"


def test_max_is_a_closed_loop_and_says_what_that_means() -> None:
    with serving() as server:
        result = fraud_load("--rate", "max", "--connections", 3, "--seconds", 0.5, "--url", server.url)
    assert result.exit_code == 0, result.exception
    assert "closed loop" in result.stdout
    assert "on 3 connections" in result.stdout
    assert "for tail latency give a --rate" in result.stdout


def test_replicas_over_time_are_shown_until_they_are_back() -> None:
    answered: list[int] = []

    def status(_path: str, _body: bytes) -> tuple[int, bytes]:
        answered.append([1, 3, 3, 2][len(answered)] if len(answered) < 4 else 1)
        return 200, replica_status(answered[-1])

    with serving() as server, serving(Behaviour(answer=status)) as admin:
        result = fraud_load(
            *("--rate", 20, "--seconds", 2, "--url", server.url, "--admin-url", admin.url),
            *("--wait-scale-down", "--json"),
        )
    assert result.exit_code == 0, result.exception
    report = json.loads(result.stdout)
    assert [count for _, count in report["replicas"]] == [1, 3]
    assert [count for _, count in report["replicas_after"]] == [2, 1]


@pytest.mark.parametrize("rate", ["0", "-1", "fast", "nan", "inf"])
def test_a_rate_that_is_none_is_wrong_use(rate: str) -> None:
    assert fraud_load("--rate", rate, "--url", "http://127.0.0.1:9").exit_code == 2


def test_an_address_that_is_none_is_wrong_use() -> None:
    assert fraud_load("--url", "ftp://127.0.0.1").exit_code == 2


def test_without_a_system_it_says_how_to_start_one() -> None:
    result = fraud_load("--rate", 1)
    assert isinstance(result.exception, CommandFailed)
    assert "fraud up" in str(result.exception)


def test_a_scorer_that_is_not_there_is_named() -> None:
    with serving() as server:
        url = server.url
    result = fraud_load("--rate", 1, "--url", url)
    assert isinstance(result.exception, CommandFailed)
    assert url.removeprefix("http://") in str(result.exception)
