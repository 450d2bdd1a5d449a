"""Each function runs by itself by the README's command."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest
import urllib3

from tests.support.events import Golden, golden
from tests.support.features.valkey import free_port
from tests.support.servers import ROOT, FunctionProcess


def readme_commands() -> dict[str, list[str]]:
    """The README's functions-framework commands, by target."""
    found = {}
    for line in (ROOT / "README.md").read_text().splitlines():
        if line.startswith(".venv/bin/functions-framework "):
            words = shlex.split(line)
            found[words[words.index("--target") + 1]] = words
    return found


def one_payload(function: str) -> Golden:
    """A golden payload that every state of the services behind the function answers the same."""
    event: Golden
    for parameter in golden("http", "knative"):
        event = parameter.values[0]
        if event.function == function and event.expect["status"] in (400, 422):
            return event
    raise AssertionError(function)


def test_the_readme_has_a_command_for_every_function() -> None:
    entries = (ROOT / "functions").glob("*/main.py")
    functions = {path.parent.name for path in entries if "functions_framework" in path.read_text()}
    assert set(readme_commands()) == functions


@pytest.mark.parametrize(
    "function", ["scorer", "feature_updater", "shadow_scorer", "train", "archiver", "drift", "promote"]
)
def test_runs_by_the_readmes_command(function: str, tmp_path: Path) -> None:
    command = readme_commands()[function]
    port = free_port()
    command[command.index("--port") + 1] = str(port)
    command[0] = str(Path(sys.executable).with_name("functions-framework"))
    nowhere = f"127.0.0.1:{free_port()}"
    environment = {
        "REDIS_URL": f"redis://{nowhere}/0",
        "KAFKA_BOOTSTRAP_SERVERS": nowhere,
        "MLFLOW_TRACKING_URI": f"http://{nowhere}",
        "AWS_ENDPOINT_URL": f"http://{nowhere}",
        "FRAUD_STATE_DIR": str(tmp_path / "state"),
    }
    with FunctionProcess(tmp_path, command, port, environment) as process:
        process.wait("/health/liveness")
        metrics = process.get("/metrics")
        assert metrics.status == 200
        assert metrics.data.startswith(b"# HELP ")
        event = one_payload(function)
        answer: urllib3.BaseHTTPResponse = process.post(event.request["path"], event.body, event.request["headers"])
        assert answer.status == event.expect["status"]
        assert answer.headers["content-type"] == "application/problem+json"
