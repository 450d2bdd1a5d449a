import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from shared.cli import logs
from shared.cli.output import CommandFailed
from shared.emulator.log_files import LogFile, log_path

app = typer.Typer()
app.command("logs")(logs.command)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FRAUD_HOME", str(tmp_path))
    for service, minute in (("scorer", 10), ("feature-updater", 11)):
        log = LogFile(log_path(tmp_path, service), service, max_bytes=1_500)
        for second in range(20):
            fields: dict[str, Any] = {
                "time": f"2026-11-23T12:{minute}:{second:02}.000+00:00",
                "level": "warning" if second == 7 else "info",
                "message": f"{service} {second}",
                "trace_id": f"trace-{second}",
                "card": "c1",
            }
            log.write(f"{service}-1", json.dumps(fields).encode())
        log.close()
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_last_lines_are_shown_readable() -> None:
    lines = run("scorer", "-n", "2").output.splitlines()
    assert [line.split()[:4] for line in lines] == [
        ["12:10:18.000", "info", "scorer-1", "scorer"],
        ["12:10:19.000", "info", "scorer-1", "scorer"],
    ]
    assert "trace_id=trace-19 card=c1" in lines[-1]


def test_function_name_may_have_underscores() -> None:
    assert "feature-updater 19" in run("feature_updater").output


def test_json_is_one_document() -> None:
    entries = json.loads(run("scorer", "--json", "-n", "3").output)
    assert [entry["message"] for entry in entries] == ["scorer 17", "scorer 18", "scorer 19"]


def test_trace_is_followed_through_all_functions_and_rotated_files() -> None:
    entries = json.loads(run("all", "--json", "--trace", "trace-1").output)
    assert [entry["message"] for entry in entries] == ["scorer 1", "feature-updater 1"]


def test_lines_of_all_functions_are_in_order_of_time() -> None:
    entries = json.loads(run("all", "--json", "-n", "5").output)
    assert [entry["message"] for entry in entries] == [f"feature-updater {second}" for second in range(15, 20)]


def test_unknown_function_names_the_known_ones() -> None:
    failed = run("nobody").exception
    assert isinstance(failed, CommandFailed)
    assert "there are: feature-updater, scorer" in str(failed)


def test_follow_goes_on_over_a_rotation(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ended = threading.Event()

    def follow() -> None:
        for entry in logs._follow([log_path(home, "scorer")]):
            seen.append(entry["message"])
            if entry["message"] == "last":
                break
        ended.set()

    seen: list[str] = []
    threading.Thread(target=follow, daemon=True).start()
    log = LogFile(log_path(home, "scorer"), "scorer", max_bytes=1_500)
    deadline = time.monotonic() + 10
    number = 0
    while not seen and time.monotonic() < deadline:
        log.write("scorer-1", b"begin")
        time.sleep(0.05)
    while number < 40:
        log.write("scorer-1", f"line {number}".encode())
        number += 1
        time.sleep(0.03)
    log.write("scorer-1", b"last")
    assert ended.wait(10)
    assert [message for message in seen if message.startswith("line")] == [f"line {n}" for n in range(40)]
