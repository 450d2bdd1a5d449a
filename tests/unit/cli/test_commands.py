"""The command line as a user meets it: quick help, exit status, clean output."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

OWN = ("up", "down", "status")


def _fraud(home: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from shared.cli.main import main; main()", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "FRAUD_HOME": str(home), **environment},
    )


def test_help_lists_the_commands_quickly(tmp_path: Path) -> None:
    best = float("inf")
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        shown = _fraud(tmp_path, "--help")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        # CPU time: the wall clock belongs to whatever else the machine does.
        best = min(best, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert shown.returncode == 0
    for name in OWN:
        assert f"\n  {name} " in shown.stdout
    assert best < 0.5


def test_help_imports_no_command() -> None:
    code = (
        "import sys; sys.argv = ['fraud', '--help']\n"
        "from shared.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([name for name in ('shared.cli.up', 'rich', 'pydantic', 'aiohttp') if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("command", OWN)
def test_every_command_has_an_example_and_json(tmp_path: Path, command: str) -> None:
    shown = _fraud(tmp_path, command, "--help")
    assert shown.returncode == 0
    assert f"Example: fraud {command}" in shown.stdout
    assert "--json" in shown.stdout


@pytest.mark.parametrize("arguments", [("nonsense",), ("up", "--nonsense"), ("down", "surplus")])
def test_wrong_use_is_status_2(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    shown = _fraud(tmp_path, *arguments)
    assert shown.returncode == 2
    assert shown.stdout == ""
    assert shown.stderr


@pytest.mark.parametrize("arguments", [("status",), ("status", "--json")])
def test_nothing_running_is_status_1_with_a_reason(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    shown = _fraud(tmp_path, *arguments)
    assert shown.returncode == 1
    assert shown.stdout == ""
    assert "fraud up" in shown.stderr
    assert "Traceback" not in shown.stderr


def test_down_where_nothing_runs_is_done(tmp_path: Path) -> None:
    shown = _fraud(tmp_path, "down", "--json")
    assert shown.returncode == 0
    assert json.loads(shown.stdout) == {
        "home": str(tmp_path), "stopped": False, "leftovers_ended": 0, "wiped": False,
    }  # fmt: skip


def test_wipe_removes_a_state_folder_and_nothing_else(tmp_path: Path) -> None:
    state, other = tmp_path / "state", tmp_path / "precious"
    (state / "run").mkdir(parents=True)
    other.mkdir()
    assert _fraud(state, "down", "--wipe").returncode == 0
    assert not state.exists()
    refused = _fraud(other, "down", "--wipe")
    assert refused.returncode == 1
    assert "not a state folder" in refused.stderr
    assert other.exists()


def test_a_bad_setting_is_refused_by_name(tmp_path: Path) -> None:
    shown = _fraud(tmp_path, "up", FRAUD_KAFKA_PORT="99999")
    assert shown.returncode == 1
    assert "FRAUD_KAFKA_PORT" in shown.stderr
    assert "Traceback" not in shown.stderr
    assert not (tmp_path / "run").exists()
