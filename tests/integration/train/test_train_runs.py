"""Trainings as runs on a real lake, registry and broker: written down, one at a time, clean after kill -9."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from functions.train.composition import compose
from functions.train.job import run
from shared.cli import asking, rerun
from shared.cli.output import CommandFailed
from shared.hosts.job import JobOutcome, JobRequest
from shared.lake.lake import Lake
from shared.lake.objects import Objects
from shared.registry.client import RegistryClient
from shared.runs import lease, store
from shared.runs.lease import Leases
from shared.runs.record import RunRecord, Trigger
from tests.support.lake.tables import own_lake
from tests.support.metrics import Change
from tests.support.registry.versions import register_version
from tests.support.scoring.small_bundle import small_bundle
from tests.support.servers import ROOT, FunctionProcess, until

LEASE_SECONDS = 4.0
COMMAND = [sys.executable, "-m", "functions.train.job"]


@pytest.fixture
def lake(
    s3_environment: Mapping[str, str], mlflow_uri: str, kafka_bootstrap: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Lake:  # fmt: skip
    """An empty lake; the environment names it, a model of its own, and a small simulated history."""
    lake = own_lake(s3_environment)
    values = {
        **s3_environment,
        "FRAUD_LAKE_URI": lake.settings.fraud_lake_uri,
        "MLFLOW_TRACKING_URI": mlflow_uri,
        "KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap,
        "FRAUD_STATE_DIR": str(tmp_path / "train"),
        "FRAUD_MODEL_NAME": f"fraud-{uuid.uuid4().hex[:8]}",
        "FRAUD_BOOTSTRAP_TRANSACTIONS": "30000",
        "FRAUD_BOOTSTRAP_DAYS": "60",
        "FRAUD_TRAINING_LEASE_SECONDS": str(LEASE_SECONDS),
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return lake


@pytest.fixture
def with_champion(lake: Lake, mlflow_uri: str) -> Lake:
    """The same with a champion: as long as the lake is empty a training finds nothing to do, quickly."""
    register_version(mlflow_uri, os.environ["FRAUD_MODEL_NAME"], small_bundle(), "champion")
    return lake


def ask(kind: str = "schedule", **request: object) -> JobOutcome:
    return run(JobRequest(trigger=Trigger.model_validate({"kind": kind, "id": uuid.uuid4().hex, "request": request})))


def recorded(lake: Lake) -> list[RunRecord]:
    """Runs of trainings, newest first."""
    return list(store.RunStore(Objects(lake.settings, store.FOLDER)).latest("train"))


@contextmanager
def another_training(lake: Lake) -> Iterator[None]:
    with Leases(Objects(lake.settings, lease.FOLDER)).hold("train"):
        yield


def test_a_training_is_written_down_with_what_it_read_and_came_to(with_champion: Lake) -> None:
    assert ask().kind == "done"
    refused = ask("manual", insist=True)
    assert refused.kind == "refused"
    second, first = recorded(with_champion)
    assert (first.outcome, first.trigger.kind) == ("skipped", "schedule")
    assert "stays without a challenger: the lake holds nothing to learn from yet" in first.reason
    assert first.outputs["registered"] == []
    assert (second.outcome, second.reason) == ("refused", refused.reason)
    assert second.trigger.request == {"insist": True}


def test_the_function_shows_what_its_process_counted(with_champion: Lake) -> None:
    change = Change()
    compose().invoke({})
    assert change.of("fraud_runs_total", function="train", outcome="skipped") == 1


def test_a_bootstrap_names_its_data_and_versions(lake: Lake, mlflow_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # So little fraud proves little: what the gates ask for is not what this is about.
    monkeypatch.setenv("FRAUD_LEAST_PRECISION", "0.2")
    monkeypatch.setenv("FRAUD_LEAST_RECALL", "0.01")
    monkeypatch.setenv("FRAUD_BOOTSTRAP_FRAUD_SHARE", "0.05")
    outcome = ask(seed=5)
    assert outcome.kind == "done", outcome.reason
    [record] = recorded(lake)
    assert record.run_id == outcome.result["run_id"]
    assert (record.inputs["champion"], record.inputs["seed"]) == (None, 5)
    assert record.inputs["dataset"].startswith("simulation, seed 5: 30000 transactions")
    versions = {one.version: one for one in RegistryClient(mlflow_uri).versions(os.environ["FRAUD_MODEL_NAME"])}
    assert [one["alias"] for one in record.outputs["registered"]][:1] == ["champion"]
    for one in record.outputs["registered"]:
        assert versions[one["version"]].tags["dataset_digest"] == record.inputs["digest"]


def test_the_second_of_two_trainings_is_told_who_is_at_it(with_champion: Lake, tmp_path: Path) -> None:
    with another_training(with_champion):
        outcome = ask()
    assert outcome.kind == "missing"
    assert outcome.reason.startswith("train is held by ")
    [record] = recorded(with_champion)
    assert (record.outcome, record.reason) == ("skipped", outcome.reason)
    with FunctionProcess.under_uvicorn("train", tmp_path / "function", environment()) as function:
        function.wait("/health/readiness")
        with another_training(with_champion), pytest.raises(CommandFailed, match="train answered 503: train is held"):
            asking.ask("train", {}, function.url)
        first = asking.ask("train", {"seed": 9}, function.url)
        asking.tell("train", first.trigger.request, function.url, rerun_of=first.run_id)
        assert function.metrics()['fraud_training_runs_total{outcome="nothing"}'] == 2
        assert function.metrics()['fraud_training_runs_total{outcome="missing"}'] == 1
    again = recorded(with_champion)[0]
    assert (again.trigger.kind, again.trigger.rerun_of, again.trigger.request) == ("manual", first.run_id, {"seed": 9})


def test_the_command_does_a_training_again(
    with_champion: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ask(seed=9)
    [first] = recorded(with_champion)
    with FunctionProcess.under_uvicorn("train", tmp_path / "function", environment()) as function:
        function.wait("/health/readiness")
        monkeypatch.setattr(asking, "function_url", {"train": function.url}.__getitem__)
        rerun.command(first.run_id, as_json=True)
    assert first.run_id in capsys.readouterr().out
    assert [one.trigger.rerun_of for one in recorded(with_champion)] == [first.run_id, None]


def test_after_kill_9_the_lease_runs_out_and_the_next_training_is_clean(lake: Lake, mlflow_uri: str) -> None:
    killed = training_process()
    held = Objects(lake.settings, lease.FOLDER)
    try:
        until(lambda: held.get("train.json") is not None, 60, "the training to begin")
    finally:
        killed.kill()
        killed.communicate()
    register_version(mlflow_uri, os.environ["FRAUD_MODEL_NAME"], small_bundle(), "champion")
    assert ask().reason.startswith("train is held by ")
    until(lambda: ask().kind == "done", 4 * LEASE_SECONDS, "the lease to run out")
    outcomes = [one.outcome for one in recorded(lake)]
    assert (outcomes[0], outcomes[-1]) == ("skipped", "running")
    assert "stays without a challenger" in recorded(lake)[0].reason
    assert [one.version for one in RegistryClient(mlflow_uri).versions(os.environ["FRAUD_MODEL_NAME"])] == ["1"]


def test_a_registry_that_stays_away_is_said_and_written_down(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("FRAUD_REGISTRY_WAIT_SECONDS", "0.2")
    with training_process(bootstrap=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        output, log = process.stdout.read(), process.stderr.read()  # its standard input stays open meanwhile
    assert process.returncode == 0, log
    outcome = JobOutcome.model_validate_json(output)  # standard output holds nothing else
    assert outcome.kind == "missing"
    assert "did not answer within 0.2 s" in outcome.reason
    assert all(line.startswith(b'{"time"') for line in log.splitlines()), log
    [record] = recorded(lake)
    assert record.outcome == "failed"
    assert outcome.reason in record.reason


def test_the_process_ends_when_its_parent_does(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    program = (
        "import subprocess, sys, time;"
        "child = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE);"
        "print(child.pid, flush=True);"
        "time.sleep(60)"
    )
    command = [sys.executable, "-c", program, *COMMAND, asked(bootstrap=True)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert is_running(child)
        parent.kill()
    until(lambda: not is_running(child), 20, "the training to end with its parent")


def training_process(**request: object) -> subprocess.Popen[bytes]:
    pipe = subprocess.PIPE
    return subprocess.Popen([*COMMAND, asked(**request)], cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe)


def asked(**request: object) -> str:
    return JobRequest(trigger=Trigger(kind="manual", request=request)).model_dump_json()


def environment() -> dict[str, str]:
    names = ("FRAUD_", "AWS_", "MLFLOW_", "KAFKA_")
    return {name: value for name, value in os.environ.items() if name.startswith(names)}


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
