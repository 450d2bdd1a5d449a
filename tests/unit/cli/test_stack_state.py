import os
import stat
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from shared.cli.stack_state import StackNotRunning, StackState, read_state, running_stack, state_file, write_state


@pytest.fixture
def state(tmp_path: Path) -> StackState:
    return StackState(
        pid=os.getpid(),
        pid_started=psutil.Process().create_time(),
        phase="running",
        home=tmp_path,
        scorer_url="http://127.0.0.1:8000",
        admin_url="http://127.0.0.1:8090",
        kafka="127.0.0.1:9092",
        redis_url="redis://127.0.0.1:6379/0",
        s3_url="http://127.0.0.1:9000",
        mlflow_uri="http://127.0.0.1:5000",
        environment={"AWS_SECRET_ACCESS_KEY": "secret"},
        backing=({"name": "kafka", "pid": 1},),
        progress=("one", "two"),
    )


def test_what_is_written_is_read(state: StackState) -> None:
    write_state(state)
    assert read_state(state.home) == state
    assert running_stack(state.home) == state


def test_the_file_with_its_secrets_is_the_owners_alone(state: StackState) -> None:
    write_state(state)
    write_state(replace(state, phase="stopping"))
    assert stat.S_IMODE(state_file(state.home).stat().st_mode) == 0o600


def test_without_a_file_nothing_runs(tmp_path: Path) -> None:
    with pytest.raises(StackNotRunning, match="fraud up"):
        running_stack(tmp_path)


def test_a_dead_supervisor_runs_nothing(state: StackState) -> None:
    write_state(replace(state, pid_started=state.pid_started - 100))  # the pid was given to another process since
    with pytest.raises(StackNotRunning):
        running_stack(state.home)


def test_a_failed_start_says_why(state: StackState) -> None:
    write_state(replace(state, phase="failed", failure="port 9092 is taken"))
    with pytest.raises(StackNotRunning, match="port 9092 is taken"):
        running_stack(state.home)


def test_the_folder_comes_from_the_environment(state: StackState, monkeypatch: pytest.MonkeyPatch) -> None:
    write_state(state)
    monkeypatch.setenv("FRAUD_HOME", str(state.home))
    assert running_stack().home == state.home
