from __future__ import annotations

import json
import logging
import subprocess
import sys
from datetime import datetime

import pytest

from tests.support.transactions import CARD_NUMBER

PROGRAM = """
import logging, warnings
from shared.telemetry import logs, tracing
logs.configure("scorer")
log = logging.getLogger("a.b")
log.debug("not shown")
log.info("plain")
tracing.set_current(tracing.continue_trace("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"))
log.warning("with %s", "arguments", extra={"subject": "tx-1", "score": 0.5})
try:
    1 / 0
except ZeroDivisionError:
    log.exception("failed\\nbadly")
logging.getLogger("uvicorn.error").info("of the server")
logging.getLogger("uvicorn.access").info("not shown")
warnings.warn("careful")
log.error("card CARD in a message, %s", "4111-1111-1111-1111", extra={"id": "x CARD"})
try:
    raise ValueError("CARD")
except ValueError:
    log.exception("card in an exception")
log.info("a uuid", extra={"decision_id": "64111111-1111-4111-8111-411111111111"})
""".replace("CARD", CARD_NUMBER)


@pytest.fixture(scope="module")
def lines() -> list[dict[str, object]]:
    """What a program logs; each line is one JSON document."""
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert run.stdout == ""
    return [json.loads(line) for line in run.stderr.splitlines()]


def test_lines_say_when_who_and_what(lines: list[dict[str, object]]) -> None:
    first = lines[0]
    assert {name: first[name] for name in ("message", "level", "logger", "service")} == {
        "message": "plain",
        "level": "info",
        "logger": "a.b",
        "service": "scorer",
    }
    assert datetime.fromisoformat(str(first["time"])).tzinfo is not None
    assert first["replica"]
    assert "trace_id" not in first


def test_lines_of_a_trace_carry_its_id_and_extras(lines: list[dict[str, object]]) -> None:
    assert lines[1]["message"] == "with arguments"
    assert lines[1]["trace_id"] == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert (lines[1]["subject"], lines[1]["score"]) == ("tx-1", 0.5)


def test_an_exception_stays_on_one_line(lines: list[dict[str, object]]) -> None:
    assert lines[2]["message"] == "failed\nbadly"
    assert "ZeroDivisionError" in str(lines[2]["exc_info"])


def test_the_server_and_warnings_log_the_same_way_but_not_every_request(lines: list[dict[str, object]]) -> None:
    assert lines[3]["message"] == "of the server"
    assert "careful" in str(lines[4]["message"])


def test_card_numbers_are_masked_wherever_they_stand(lines: list[dict[str, object]]) -> None:
    assert len(lines) == 8
    assert "1111" not in json.dumps(lines[5:7])
    assert lines[5]["message"] == "card [card number] in a message, [card number]"


def test_what_only_looks_like_a_card_number_is_kept(lines: list[dict[str, object]]) -> None:
    assert lines[7]["decision_id"] == "64111111-1111-4111-8111-411111111111"


def test_the_level_is_settable(monkeypatch: pytest.MonkeyPatch) -> None:
    program = "import logging\nfrom shared.telemetry import logs\nlogs.configure('x')\nlogging.info('hidden')"
    monkeypatch.setenv("FRAUD_LOG_LEVEL", "ERROR")
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stderr == ""
    assert logging.getLevelName("ERROR") == logging.ERROR
