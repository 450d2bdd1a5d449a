"""`fraud drift`, `promote` and `rollback`: what they ask for and what they show, the functions faked."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from shared.cli import drift, promote, rollback, tables
from shared.cli.output import CommandFailed
from shared.runs.record import RunRecord, Trigger

NOW = datetime(2026, 1, 15, tzinfo=UTC)
FOUND = {
    "outcome": "drift",
    "model_version": "3",
    "window_start": "2026-01-14T00:00:00.000Z",
    "window_end": "2026-01-15T00:00:00.000Z",
    "volume": {"rows": 5000, "usual_rows": 5100.0},
    "findings": [
        {
            "name": "amount",
            "measure": "population stability index",
            "effect": 0.31,
            "lower_bound": 0.25,
            "threshold": 0.1,
        }
    ],
    "immature": ["txn_count_30d"],
    "report": "s3://fraud-lake/reports/drift/2026-01-15/000000-r.html",
}
NONE = {"outcome": "no verdict", "reason": "3 whole decisions; at least 500 are asked for"}
PROMOTED = {
    "verdict": "promoted",
    "version": "4",
    "champion": "4",
    "reasons": ["average precision better: +0.0300"],
    "evidence": {
        "agreement": {"of": 9000, "percent": 99.1, "lower": 98.9, "upper": 99.3},
        "alert_agreement": {"of": 0, "percent": None, "lower": None, "upper": None},
    },
}


class Functions:
    """Answers runs with outputs in turn."""

    def __init__(self, *outputs: dict[str, Any]) -> None:
        self.outputs = list(outputs)
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, function: str, asked: dict[str, Any], _url: str | None = None) -> RunRecord:
        self.asked.append((function, asked))
        outputs = self.outputs.pop(0)
        return RunRecord(
            run_id="r", function=function, trigger=Trigger(kind="manual"), started=NOW, deadline=NOW, outputs=outputs
        )


def invoke(module: Any, functions: Functions, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Any:
    monkeypatch.setattr(module, "ask", functions)
    app = typer.Typer()
    app.command()(module.command)
    return CliRunner().invoke(app, list(arguments))


def test_drift_shows_what_drifted_and_where_the_report_is(monkeypatch: pytest.MonkeyPatch) -> None:
    functions = Functions(FOUND)
    result = invoke(drift, functions, monkeypatch)
    assert functions.asked == [("drift", {})]
    assert "5,000 decisions, usually 5,100" in result.stdout
    assert "amount" in result.stdout
    assert FOUND["report"] in result.stdout.replace("\n", "")


def test_drift_goes_over_past_days_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    functions = Functions(NONE, FOUND, NONE)
    result = invoke(drift, functions, monkeypatch, "--as-of", "2026-01-10", "--until", "2026-01-12", "--json")
    assert [asked["as_of"] for _, asked in functions.asked] == ["2026-01-10", "2026-01-11", "2026-01-12"]
    assert [one["outcome"] for one in json.loads(result.stdout)] == ["no verdict", "drift", "no verdict"]


@pytest.mark.parametrize("arguments", [("--until", "2026-01-10"), ("--as-of", "2026-01-10", "--until", "2026-01-09")])
def test_days_that_make_no_span_are_wrong_use(arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    functions = Functions()
    assert invoke(drift, functions, monkeypatch, *arguments).exit_code == 2
    assert functions.asked == []


def test_there_is_no_report_of_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    result = invoke(drift, Functions(NONE), monkeypatch, "--open")
    assert isinstance(result.exception, CommandFailed)
    assert "at least 500 are asked for" in result.stdout


def test_promote_and_rollback_show_reasons(monkeypatch: pytest.MonkeyPatch) -> None:
    functions = Functions(PROMOTED)
    result = invoke(promote, functions, monkeypatch, "--as-of", "2026-02-01")
    assert functions.asked == [("promote", {"as_of": "2026-02-01"})]
    assert "version 4 promoted; champion is version 4" in result.stdout
    assert "average precision better: +0.0300" in result.stdout
    assert "agreement among 9,000 decisions: 99.10 % (98.90 to 99.30)" in result.stdout

    rolled = {"verdict": "rolled_back", "version": "4", "champion": "3", "reasons": ["3 again"], "evidence": None}
    functions = Functions(rolled)
    result = invoke(rollback, functions, monkeypatch, "--json")
    assert functions.asked == [("promote", {"action": "rollback"})]
    assert json.loads(result.stdout) == rolled


def test_nothing_to_weigh_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = {"verdict": None, "version": None, "champion": None, "reasons": ["fraud has no challenger"]}
    result = invoke(promote, Functions(nothing), monkeypatch)
    assert result.stdout == "nothing to weigh: fraud has no challenger\n"


def test_status_has_a_line_for_each_last_verdict() -> None:
    assert tables._drift(None) == tables._promotion(None) == "-"
    assert tables._drift(NONE).startswith("no verdict: 3 whole")
    assert tables._drift(FOUND) == f"drift (amount) until {FOUND['window_end']}, {FOUND['report']}"
    assert tables._promotion(PROMOTED) == "version 4 promoted: average precision better: +0.0300"
